"""Candidate pairs of a block of products, kept in buffers of fixed length.

A block holds S for some rows and columns. Each row and each column has a price, and a pair's key is
S minus the price of the other side. Rows (and columns) buffer the pairs with the largest keys above
their bar. A full buffer is cut to its better half, and the bar rises to the worst that is left.
"""

import numpy as np
from numba import njit

from seedstability.compiled import kernel

_GROUP = 64
"""Entries that are tested together; only a group with a hit is scanned one by one."""
# Of many pairs with equal keys, as between copies of one latent, each row should keep different
# ones: keys get a tie-break of up to 1e-6 that depends only on the pair.
_SHUFFLE_ROW, _SHUFFLE_COLUMN = np.uint32(2654435761), np.uint32(2246822519)
_TIE = np.float32(1e-6 / 65536)


@kernel
def add_rows(block, first_row, first_column, growth, prices, bars, keys, columns, counts):
    """Buffer the pairs of the block [h, w] whose S − price exceeds their row's bar.

    S is bounded by x + growth · |x| for the block's entry x. `prices` [w] belong to the block's
    columns; `bars`, `counts` [h] and `keys`, `columns` [h, capacity] to its rows. `first_row`
    only breaks ties.
    """
    width = block.shape[1]
    for a in range(block.shape[0]):
        row, bar = block[a], bars[a]
        for start in range(0, width, _GROUP):
            stop = min(start + _GROUP, width)
            hits = np.float32(0)
            for b in range(start, stop):
                x = row[b]
                hits += np.float32(1) if x + growth * abs(x) - prices[b] > bar else np.float32(0)
            if hits == 0:
                continue
            for b in range(start, stop):
                x = row[b]
                key = x + growth * abs(x) - prices[b]
                if key > bar:
                    key += _tie(first_row + a, first_column + b)
                    bar = _add(key, first_column + b, a, bar, keys, columns, counts)
        bars[a] = bar


@kernel
def add_both(block, first_row, first_column, of_rows, of_columns):
    """Buffer the largest keys of the block's rows and of its columns.

    `of_rows` and `of_columns` are (bars, prices, keys, partners, counts) of the block's rows and
    columns; prices are subtracted from the keys of the other side.
    """
    row_bars, row_prices, row_keys, row_partners, row_counts = of_rows
    column_bars, column_prices, column_keys, column_partners, column_counts = of_columns
    width = block.shape[1]
    for a in range(block.shape[0]):
        row, bar, price = block[a], row_bars[a], row_prices[a]
        for start in range(0, width, _GROUP):
            stop = min(start + _GROUP, width)
            hits = np.float32(0)
            for b in range(start, stop):
                x = row[b]
                above = (x - column_prices[b] > bar) or (x - column_bars[b] > price)
                hits += np.float32(1) if above else np.float32(0)
            if hits == 0:
                continue
            for b in range(start, stop):
                x = row[b]
                if x - column_prices[b] > bar:
                    key = x - column_prices[b] + _tie(first_row + a, first_column + b)
                    bar = _add(key, first_column + b, a, bar, row_keys, row_partners, row_counts)
                if x - price > column_bars[b]:
                    column_bars[b] = _add(
                        x - price + _tie(first_row + a, first_column + b),
                        first_row + a,
                        b,
                        column_bars[b],
                        column_keys,
                        column_partners,
                        column_counts,
                    )
        row_bars[a] = bar


_inner = njit(nogil=True, error_model="numpy")


@_inner
def _tie(i, j):
    # products of 32-bit integers have 64 bits here; each cast drops the upper half
    mixed = np.uint32(np.uint32(i) * _SHUFFLE_ROW) ^ np.uint32(np.uint32(j) * _SHUFFLE_COLUMN)
    mixed = np.uint32(np.uint32(mixed ^ (mixed >> np.uint32(15))) * _SHUFFLE_ROW)
    return np.float32(mixed >> np.uint32(16)) * _TIE


@_inner
def _add(key, partner, owner, bar, keys, partners, counts):
    """Put one pair into its owner's buffer; return the owner's bar."""
    count, capacity = counts[owner], keys.shape[1]
    keys[owner, count], partners[owner, count] = key, partner
    count += 1
    if count == capacity:
        count = capacity // 2
        bar = max(bar, _cut(keys[owner], partners[owner], count))
    counts[owner] = count
    return bar


@_inner
def _cut(keys, partners, kept):
    """Move the `kept` largest keys to the front; return the smallest of them (quickselect)."""
    low, high = 0, len(keys) - 1
    while low < high:
        pivot, i, j = keys[(low + high) >> 1], low, high
        while i <= j:
            while keys[i] > pivot:
                i += 1
            while keys[j] < pivot:
                j -= 1
            if i <= j:
                keys[i], keys[j] = keys[j], keys[i]
                partners[i], partners[j] = partners[j], partners[i]
                i += 1
                j -= 1
        if kept - 1 <= j:
            high = j
        elif kept - 1 >= i:
            low = i
        else:
            break
    return keys[kept - 1]


@kernel
def exact_products(A, B, rows, columns, scores):
    """Write products of row pairs of A and B [·, d] into `scores` [m], in double precision."""
    for k in range(len(rows)):
        a, b = A[rows[k]], B[columns[k]]
        total = 0.0
        for t in range(a.shape[0]):
            total += np.float64(a[t]) * np.float64(b[t])
        scores[k] = total
