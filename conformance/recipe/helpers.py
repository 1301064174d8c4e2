"""Helper functions that are printed with the code that uses them, in neutral terms.

A framework's own function stands in a dialect's table instead where it is right: these are here since autodiff of the
frameworks' own is not (0/0 where nothing is summed, 0 where a factor is 0, 1 - y where y rounds to 1), or since they
have none.
"""

from __future__ import annotations

from collections.abc import Mapping

HELPERS: Mapping[str, str] = {
    "_sigmoid": '''
def _sigmoid(x):
    """1 / (1 + exp(-x)). The frameworks' own has the slope y (1 - y), which is 0 where y rounds to 1."""
    small = exp(where(x < 0, x, -x))
    return where(x < 0, small, 1) / (1 + small)
''',
    "_maximum": '''
def _maximum(x, y):
    """The larger one. To the smaller one, some frameworks' own sends 0 times the slope: NaN where that is infinite."""
    return where(x > y, x, where(unequal(x, x), stop_gradient(x), y))
''',
    "_softplus": '''
def _softplus(x):
    """log(1 + exp(x)), of whose digits none is lost to the 1, nor of its slope's to a difference of near numbers."""
    return where(x < 0, 0, x) + log1p(exp(where(x < 0, x, -x)))
''',
    "_xlogy": '''
def _xlogy(x, y):
    """x log y, which is 0 where x is 0."""
    nothing = equal(x, 0) & ~((0 < y) & isfinite(y))
    return x * log(where(nothing, 1, y))
''',
    "_xlog1py": '''
def _xlog1py(x, y):
    """x log(1 + y), which is 0 where x is 0."""
    nothing = equal(x, 0) & ~((-1 < y) & isfinite(y))
    return x * log1p(where(nothing, 0, y))
''',
    "_log_softmax": '''
def _log_softmax(x, axis):
    """x less the log of the sum of exp(x), both less the largest x."""
    top = stop_gradient(max(x, axis))
    x = x - where(isfinite(top), top, 0)
    return x - log(sum(exp(x), axis))
''',
    "_logsumexp": '''
def _logsumexp(x, axis, mask=None, less=0):
    """log of the sum of exp(x - less), where `mask`: -inf over nothing, and then with a gradient of 0."""
    if mask is not None:
        x = where(mask, x, -math.inf)
    top = stop_gradient(max(x, axis)) if x.shape[axis] else full((), 0, x)
    top = where(isfinite(top), top, 0)
    total = sum(exp(x - top), axis)
    nothing = equal(total, 0)
    return where(nothing, -math.inf, log(where(nothing, 1, total)) + (top - less))
''',
    "_unit": '''
def _unit(x, p, axis):
    """x over its p-norm, in units of its largest component: the gradient is projected before it is divided."""
    top = stop_gradient(max(abs(x), axis))
    scaled = x / where((top > 0) & isfinite(top), top, 1)
    return scaled / _norm(scaled, p, axis)
''',
    "_norm": '''
def _norm(x, p, axis):
    """The p-norm, in units of its largest component, so that no power overflows; its gradient at 0 is 0."""
    size = abs(x)
    if p == 1:
        return sum(size, axis)
    if p == math.inf:
        return max(size, axis)
    top = stop_gradient(max(size, axis))
    is_plain = (top > 0) & isfinite(top)
    unit = where(is_plain, top, 1)
    total = where(is_plain, sum(power(size / unit, p), axis), 1)
    return where(is_plain, unit * power(total, 1 / p), top)
''',
    "_ctc_log_likelihood": '''
def _ctc_log_likelihood(log_probs, targets, input_lengths, target_lengths, blank):
    """The log-likelihood of labels under all of their alignments with the frames, [N]: -inf where there is none.

    A state s of the 2 S + 1 is the blank if even, and label (s - 1) / 2 if odd (Graves et al. 2006, section 4.1).
    States that lead to no end are left out, so that what they hold reaches no gradient.
    """
    if log_probs.ndim == 2:
        one = (log_probs[:, None], targets[None], input_lengths[None], target_lengths[None])
        return _ctc_log_likelihood(*one, blank)[0]
    frames, batch, classes = log_probs.shape
    count = 2 * targets.shape[1] + 1
    place = arange(count, targets)[None]
    blanks = whole(0 * targets + blank)
    pairs = reshape(stack([blanks, targets], 2), (batch, count - 1))
    states = concatenate([pairs, whole(0 * input_lengths[:, None] + blank)], 1)
    two_back = concatenate([states[:, :1], states[:, :1], states], 1)[:, :count]
    skips = (place >= 2) & (states != blank) & (states != two_back)
    inside = place <= 2 * target_lengths[:, None]
    emits = clip(states, 0, classes - 1)
    none = full((batch, 2), -math.inf, log_probs)
    ends = inside & (place >= 2 * target_lengths[:, None] - 1)
    useful = [ends]
    for t in range(frames - 1, 0, -1):
        later = concatenate([useful[0], none > 0], 1)
        over = (concatenate([skips, none > 0], 1) & later)[:, 2:]
        useful.insert(0, where(t < input_lengths[:, None], useful[0] | later[:, 1:-1] | over, ends))
    begins = useful[0] & (place <= 1) & (input_lengths[:, None] > 0)
    alpha = where(begins, gather(log_probs[0], emits, 1), -math.inf)
    for t in range(1, frames):
        runs = useful[t] & (t < input_lengths[:, None])
        padded = concatenate([none, alpha], 1)
        ways = stack([alpha, padded[:, 1:-1], where(skips, padded[:, :-2], -math.inf)], 2)
        before = _logsumexp(where(runs[..., None], ways, -math.inf), 2)[:, :, 0]
        after = where(runs, before + gather(log_probs[t], emits, 1), -math.inf)
        alpha = where(t < input_lengths[:, None], after, alpha)
    found = _logsumexp(alpha, 1, ends)[:, 0]
    empty = full((), 0, log_probs)
    return where(input_lengths > 0, found, where(target_lengths == 0, empty, -math.inf))
''',
}
