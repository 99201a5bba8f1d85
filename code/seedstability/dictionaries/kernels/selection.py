"""The exact k largest of a row, in a few quick passes over it.

Counting how many entries reach a cut is the fastest thing a processor does with a row, so a cut
that few more than k entries reach is found by counting, from where it usually lies. What reaches
it is picked out in order, and bisection separates the k largest of those few. Which columns come
out does not depend on the first guess: the k largest, among equals the first ones, ascending.
"""

import numpy as np

from seedstability.compiled import kernel


@kernel
def keep_largest(pre, k, latents, values):
    """Columns and values of the k largest of each row of `pre` [b, n], into arrays [b, k]."""
    n = pre.shape[1]
    buffers = _buffers(n)
    usual = np.array([0.1], np.float32)
    for s in range(len(pre)):
        _keep(pre[s], k, usual, buffers, latents[s], values[s])


@kernel
def keep_largest_excluding(pre, kept, k, latents, values):
    """Of each row of `pre` [b, n] the k entries of largest magnitude among those that `kept`
    [b, k'] does not name: columns, and +1 or −1 (0 for zero) in the place of `values`; returns
    each row's summed magnitudes [b]."""
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
    """How many entries of each row of `pre` [b, n] exceed `threshold` [n]."""
    counts = np.empty(len(pre), np.int64)
    for s in range(len(pre)):
        row, count = pre[s], 0
        for i in range(len(row)):
            count += row[i] > threshold[i]
        counts[s] = count
    return counts


@kernel
def keep_above(pre, threshold, offsets, latents, values):
    """Columns and values of all entries above `threshold` [n], row after row from `offsets`."""
    for s in range(len(pre)):
        row, at = pre[s], offsets[s]
        for i in range(len(row)):
            if row[i] > threshold[i]:
                latents[at], values[at] = i, row[i]
                at += 1


@kernel
def _buffers(n):
    """Marks for all columns, rounded up to eights; columns; values. One place more each, since the
    place after the last that counts is written too."""
    return (
        np.zeros((n + 7) // 8 * 8, np.uint8),
        np.empty(n + 9, np.int32),
        np.empty(n + 9, np.float32),
    )


@kernel
def _keep(row, k, usual, buffers, latents, values):
    # `usual` is where the k-th largest value lay in the rows before, in lengths of the row.
    marks, columns, found = buffers
    size = _size(row)
    cut = _near(row, k, usual[0] * size, size / np.float32(np.sqrt(len(row))))
    count = _pick(row, cut, marks, columns, found)
    if count < k:  # only where the row holds NaN
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
        # Between low and high there is one value only, and of those that have it the first count.
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
    """A cut that at least k entries reach and, where a few trials find one, not many more."""
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
        # In the tail of a normal law the number that reaches a cut falls e-fold over about 0.4
        # standard deviations; other laws take a few more trials, and bisection ends what is left.
        step = np.float32(0.4 * (1 + trial)) * spread
        cut += step * np.float32(np.log(max(reach, 0.5) / (k + k // 8 + 1)))
        if not low < cut < high:
            cut = np.float32(0.5) * (low + high)
    return low


@kernel
def _pick(row, cut, marks, columns, found):
    """Entries of at least `cut`, in order; returns how many."""
    n = len(row)
    for i in range(n):
        marks[i] = row[i] >= cut
    # Both lists are written whether an entry counts or not: a branch here would be guessed wrongly
    # too often. Eight marks are one word, so that most entries are passed over by eights.
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
    """Two cuts: at least k of the first `count` values reach the lower one, fewer the upper one,
    and where those are not exactly k, the values between the two are all equal."""
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
    # In float32, the width of what is compared, four times as fast; exact up to 2^24, and where
    # more reach a cut, only that they are many counts.
    reach = np.float32(0)
    for c in range(count):
        reach += np.float32(1) if values[c] >= cut else np.float32(0)
    return reach
