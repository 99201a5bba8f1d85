"""Kernels of screened TopK: upper bounds of all pre-activations, exact values of the candidates.

`dictionaries.screening` derives the bounds.
"""

import numpy as np
from numba import njit

from seedstability.compiled import kernel
from seedstability.dictionaries.kernels.selection import keep_largest, split

_LARGEST = np.float32(2.0**120)
_ROUNDING = np.float32(2.0**-8 * (1 + 2.0**-6))
_HALF, _UPPER_HALF = np.int32(1 << 15), np.int32(-1 << 16)
_INFINITY = np.float32(np.inf)
_MEMBERS = 32
_EIGHT = 8

# Each product is fused with its addition, in order. These flags hold even if the function is
# inlined into one that may reorder its own operations.
_in_order = njit(nogil=True, error_model="numpy", fastmath={"contract"})


@kernel
def round_rows(matrix, words, short, lengths, residuals):
    """Round `matrix` [m, d], with bits `words`, to bfloat16 bits `short` [m, d].

    Writes each row's length and the length of its rounding error to the last two arrays [m].
    """
    m, d = matrix.shape
    for j in range(m):
        row, row_words, row_short = matrix[j], words[j], short[j]
        for i in range(d):
            row_short[i] = np.int16(np.int32(row_words[i] + _HALF) >> 16)
        length, residual = np.float32(0), np.float32(0)
        for i in range(d):
            rounded = np.int32(np.int32(row_words[i] + _HALF) & _UPPER_HALF).view(np.float32)
            change = row[i] - rounded
            length += row[i] * row[i]
            residual += change * change
        lengths[j], residuals[j] = np.sqrt(length), np.sqrt(residual)


@kernel
def upper_bounds(row, by_length, by_residual, latents, above):
    """Write upper bounds of one sample's pre-activations to `above` [n].

    `row` [n] are the bits of its rounded products; `by_length` and `by_residual` its margin
    factors; `latents` the length, residual and raised bias of each latent, three arrays [n].
    """
    lengths, residuals, raised = latents
    for i in range(len(row)):
        product = np.int32(np.int32(row[i]) << 16).view(np.float32)
        margin = by_length * lengths[i] + by_residual * residuals[i] + _ROUNDING * abs(product)
        above[i] = product + margin + raised[i]


@kernel
def keep_screened(products, samples, latents, exact, k, kept, values):
    """Write columns and values of the k largest pre-activations of each sample to arrays [b, k].

    `products` [b, n] are the bits of the rounded products; `samples` the two margin factors [b];
    `latents` as in `upper_bounds`; `exact` the samples [b, d], the encoder [n, d], its bias [n]
    and the block length in which the exact product is summed. Returns the number of rescored
    entries, or −1 if numbers are too large or not finite, or if the exact product would be faster.
    """
    by_length, by_residual = samples
    centered, encoder, bias, block = exact
    b, n = products.shape
    above, maxima = np.empty(n, np.float32), np.empty(_groups(n, k), np.float32)
    columns, found = np.empty(n + _EIGHT, np.int32), np.empty(n + _EIGHT, np.float32)
    longest, highest = latents[0].max(), np.abs(bias).max()
    rescored = 0
    for s in range(b):
        if not by_residual[s] * longest + highest < _LARGEST:
            return -1
        upper_bounds(products[s], by_length[s], by_residual[s], latents, above)
        pair = centered[s], encoder, bias, block
        count = _rescore_possible(above, maxima, pair, k, columns, found)
        rescored += count
        if rescored > k * b + b * n // 16:
            return -1
        one = slice(s, s + 1)
        keep_largest(found[:count].reshape(1, -1), k, kept[one], values[one])
        for i in range(k):
            kept[s, i] = columns[kept[s, i]]
    return rescored


@kernel
def _groups(n, k):
    # The k-th largest group maximum is a good first guess if there are a few times k groups. An odd
    # multiple of 16, since members a power of two apart would compete for cache lines.
    return min(n, max(n // _MEMBERS, 4 * k) // 32 * 32 + 16)


@kernel
def _rescore_possible(above, maxima, pair, k, columns, found):
    """Find columns, ascending, and values of all latents that can be among the k largest; returns
    their number."""
    _group_maxima(above, maxima)
    likely = -_INFINITY
    if len(maxima) >= k:
        likely = split(maxima, len(maxima), k)[0]
    first = _pick(above, maxima, likely, _INFINITY, columns, 0)
    _rescore(pair, columns, 0, first, found)
    least = split(found, first, k)[0]
    count = _pick(above, maxima, least, likely, columns, first)
    _rescore(pair, columns, first, count, found)
    _sort(columns, found, count)
    return count


@kernel
def _group_maxima(above, maxima):
    """Maxima of groups of columns that are len(maxima) apart. Groups of adjacent columns would not
    vectorize."""
    groups = len(maxima)
    maxima[:] = above[:groups]
    for base in range(groups, len(above), groups):
        part = above[base : base + groups]
        for g in range(len(part)):
            maxima[g] = part[g] if part[g] > maxima[g] else maxima[g]


@kernel
def _pick(above, maxima, low, high, columns, count):
    """Append columns with bounds in [`low`, `high`); returns the new count."""
    for g in range(len(maxima)):
        if maxima[g] >= low:
            for i in range(g, len(above), len(maxima)):
                columns[count] = i
                count += (above[i] >= low) & (above[i] < high)
    return count


@_in_order
def _rescore(pair, columns, first, last, found):
    """Compute pre-activations of entries `first` to `last` in the exact product's order."""
    x, encoder, bias, block = pair
    columns[last : last + _EIGHT - 1] = 0  # padding, to process eight each time
    for c in range(first, last, _EIGHT):
        e = columns[c : c + _EIGHT]
        for i in range(_EIGHT):
            found[c + i] = bias[e[i]]
        rows = (
            (encoder[e[0]], encoder[e[1]], encoder[e[2]], encoder[e[3]]),
            (encoder[e[4]], encoder[e[5]], encoder[e[6]], encoder[e[7]]),
        )
        for start in range(0, len(x), block):
            sums = _eight_sums(x, rows, start, min(start + block, len(x)))
            for i in range(_EIGHT):
                found[c + i] += sums[i]


@_in_order
def _eight_sums(x, rows, start, stop):
    # Eight at once, since each sum is a chain of dependent steps.
    (e0, e1, e2, e3), (e4, e5, e6, e7) = rows
    t0 = t1 = t2 = t3 = t4 = t5 = t6 = t7 = np.float32(0)
    for i in range(start, stop):
        t0 += x[i] * e0[i]
        t1 += x[i] * e1[i]
        t2 += x[i] * e2[i]
        t3 += x[i] * e3[i]
        t4 += x[i] * e4[i]
        t5 += x[i] * e5[i]
        t6 += x[i] * e6[i]
        t7 += x[i] * e7[i]
    return t0, t1, t2, t3, t4, t5, t6, t7


@kernel
def _sort(columns, found, count):
    if count > 256:
        order = np.argsort(columns[:count])
        columns[:count], found[:count] = columns[order], found[order]
        return
    for c in range(1, count):
        column, value, at = columns[c], found[c], c
        while at > 0 and columns[at - 1] > column:
            columns[at], found[at] = columns[at - 1], found[at - 1]
            at -= 1
        columns[at], found[at] = column, value


@kernel
def rescore_all(centered, encoder, bias, block, n, pre):
    """Write pre-activations of the first n latents to `pre` [b, n], as `keep_screened` does."""
    columns, found = np.arange(n + _EIGHT).astype(np.int32), np.empty(n + _EIGHT, np.float32)
    for s in range(len(centered)):
        _rescore((centered[s], encoder, bias, block), columns, 0, n, found)
        pre[s] = found[:n]
