"""Exact selection of the k largest entries of a row, in a few fast passes.

Counting the entries above a cut is fast. A cut with slightly more than k entries is found by
counting, from an initial guess. Its entries are collected in order, and bisection separates the k
largest. The result does not depend on the guess: the k largest, the first among ties, ascending.
"""

import numpy as np

from seedstability.compiled import kernel


@kernel
def keep_largest(pre, k, latents, values):
    """Write columns and values of the k largest of each row of `pre` [b, n] to arrays [b, k]."""
    n = pre.shape[1]
    buffers = _buffers(n)
    usual = np.array([0.1], np.float32)
    for s in range(len(pre)):
        _keep(pre[s], k, usual, buffers, latents[s], values[s])


@kernel
def keep_largest_excluding(pre, kept, k, latents, values):
    """Select, in each row of `pre` [b, n], the k entries of largest magnitude not in `kept`.

    Writes columns to `latents` and signs to `values`. Returns each row's summed magnitudes [b].
    """
    b, n = pre.shape
    buffers = _buffers(n)
    usual = np.array([0.1], np.float32)
    magnitudes = np.empty(n, np.float32)
    totals = np.zeros(b, np.float32)
    for s in range(b):
        row = pre[s]
        for i in range(n):
            magnitudes[i] = abs(row[i])
        for i in kept[s]:
            magnitudes[i] = -1
        _keep(magnitudes, k, usual, buffers, latents[s], values[s])
        for i in range(k):
            totals[s] += values[s, i]
            values[s, i] = np.sign(row[latents[s, i]])
    return totals


@kernel
def count_above(pre, threshold):
    """Count the entries of each row of `pre` [b, n] above `threshold` [n]."""
    counts = np.empty(len(pre), np.int64)
    for s in range(len(pre)):
        row, count = pre[s], 0
        for i in range(len(row)):
            count += row[i] > threshold[i]
        counts[s] = count
    return counts


@kernel
def keep_above(pre, threshold, offsets, latents, values):
    """Write columns and values of all entries above `threshold` [n]; row s at `offsets[s]`."""
    for s in range(len(pre)):
        row, at = pre[s], offsets[s]
        for i in range(len(row)):
            if row[i] > threshold[i]:
                latents[at], values[at] = i, row[i]
                at += 1


@kernel
def _buffers(n):
    """Buffers for marks (a multiple of eight), columns and values, with one extra element, since
    the element after the last is written too."""
    return (
        np.zeros((n + 7) // 8 * 8, np.uint8),
        np.empty(n + 9, np.int32),
        np.empty(n + 9, np.float32),
    )


@kernel
def _keep(row, k, usual, buffers, latents, values):
    # `usual` is the typical k-th largest value of the rows before, divided by the row's length.
    marks, columns, found = buffers
    size = _size(row)
    cut = _near(row, k, usual[0] * size, size / np.float32(np.sqrt(len(row))))
    count = _pick(row, cut, marks, columns, found)
    if count < k:  # only if the row has NaN
        latents[:] = np.arange(k)
        values[:] = np.nan
        return
    low, high = split(found, count, k)
    if 0 < size < np.inf:
        usual[0] += np.float32(0.05) * (low / size - usual[0])
    spare = k
    for c in range(count):
        spare -= found[c] >= high
    at = 0
    for c in range(count):
        if at == k:
            break
        # Values in [low, high) are all equal; the first ones are kept.
        above = found[c] >= high
        equal = (found[c] >= low) & (not above)
        latents[at], values[at] = columns[c], found[c]
        at += above | (equal & (spare > 0))
        spare -= equal


@kernel
def _size(row):
    square = np.float32(0)
    for i in range(len(row)):
        square += row[i] * row[i]
    return np.sqrt(square)


@kernel
def _near(row, k, cut, spread):
    """Find a cut that at least k entries reach, and not many more if a few trials find one."""
    low, high = np.float32(-np.inf), np.float32(np.inf)
    most = k + k // 4 + 4
    for trial in range(64):
        reach = _count(row, len(row), cut)
        if k <= reach <= most:
            return cut
        if reach < k:
            high = cut
        else:
            low = cut
        # In the tail of a normal distribution the count falls e-fold over about 0.4 standard
        # deviations. Other distributions take a few more trials; bisection does the rest.
        step = np.float32(0.4 * (1 + trial)) * spread
        cut += step * np.float32(np.log(max(reach, 0.5) / (k + k // 8 + 1)))
        if not low < cut < high:
            cut = np.float32(0.5) * (low + high)
    return low


@kernel
def _pick(row, cut, marks, columns, found):
    """Collect entries of at least `cut`, in order; returns their number."""
    n = len(row)
    for i in range(n):
        marks[i] = row[i] >= cut
    # Both lists are written unconditionally: a branch would often be mispredicted. Eight marks are
    # one word, so most entries are skipped eight at a time.
    words, hits = marks.view(np.uint64), 0
    for word in range(len(words)):
        columns[hits] = word
        hits += words[word] != 0
    eights, count = found.view(np.int32), 0
    eights[:hits] = columns[:hits]
    for hit in range(hits):
        first = 8 * eights[hit]
        for i in range(first, first + 8):
            columns[count] = i
            count += marks[i]
    for c in range(count):
        found[c] = row[columns[c]]
    return count


@kernel
def split(values, count, k):
    """Find two cuts around the k-th largest of the first `count` values.

    At least k values reach the lower cut, fewer the upper one. If not exactly k values reach the
    lower cut, the values between the cuts are all equal.
    """
    low, high = values[0], values[0]
    for c in range(count):
        low, high = min(low, values[c]), max(high, values[c])
    if _count(values, count, high) >= k:
        return high, np.float32(np.inf)
    while True:
        middle = np.float32(0.5) * (low + high)
        if middle <= low or middle >= high:
            return low, high
        reach = _count(values, count, middle)
        if reach >= k:
            low = middle
            if reach == k:
                return low, low
        else:
            high = middle


@kernel
def _count(values, count, cut):
    # A float32 counter has the width of the values and is four times as fast. It is exact up to
    # 2^24; larger counts need not be exact.
    reach = np.float32(0)
    for c in range(count):
        reach += np.float32(1) if values[c] >= cut else np.float32(0)
    return reach
