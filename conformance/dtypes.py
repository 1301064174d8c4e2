"""The names of the dtypes that are judged, in the order in which they are shown."""

DTYPES = ("float64", "float32", "float16", "bfloat16")
