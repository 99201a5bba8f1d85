"""Which pairs of a block of products are worth a closer look.

A block holds S for some rows and columns, each row and each column has a price, and a pair's key
is S less the price of the other side. Rows (and columns) keep the pairs with the largest keys
above their bar in a buffer of fixed length. A full buffer is cut to its better half, and the bar
rises to the worst that is left.
"""

import numpy as np
from numba import njit

from seedstability.compiled import kernel

_GROUP = 64
"""Entries that are tested together; only a group with a hit is looked at one by one."""
# Of many pairs with the same key, as between copies of one latent, each row should keep others: so
# keys get an addition of up to 1e-6 that depends on the pair alone.
_SHUFFLE_ROW, _SHUFFLE_COLUMN = np.uint32(2654435761), np.uint32(2246822519)
_TIE = np.float32(1e-6 / 65536)


@kernel
def add_rows(block, first_row, first_column, growth, prices, bars, keys, columns, counts):
    """Pairs of the block [h, w] whose S − price exceeds their row's bar, into the rows' buffers.

    S is taken as x + growth · |x| of the block's entry x, at least what the exact product can be.
    `prices` [w] belong to the block's columns; `bars`, `counts` [h] and `keys`, `columns`
    [h, capacity] to its rows, of which `first_row` only serves to break ties.
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
    """The largest keys of the block's rows and of its columns, into the buffers of both.

    `of_rows` and `of_columns` are (bars, prices, keys, partners, counts), those of one side being
    cut to the block; prices are what that side costs the other.
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
    # products of 32 bits come out with 64 here; the upper half is dropped each time
    mixed = np.uint32(np.uint32(i) * _SHUFFLE_ROW) ^ np.uint32(np.uint32(j) * _SHUFFLE_COLUMN)
    mixed = np.uint32(np.uint32(mixed ^ (mixed >> np.uint32(15))) * _SHUFFLE_ROW)
    return np.float32(mixed >> np.uint32(16)) * _TIE


@_inner
def _add(key, partner, owner, bar, keys, partners, counts):
    """Put one pair into its owner's buffer; returns the owner's bar."""
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
    """Bring the `kept` largest keys to the front; returns the smallest of them (quickselect)."""
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
    """Products of single rows of A and B [·, d], summed in double precision, into `scores` [m]."""
    for k in range(len(rows)):
        a, b = A[rows[k]], B[columns[k]]
        total = 0.0
        for t in range(a.shape[0]):
            total += np.float64(a[t]) * np.float64(b[t])
        scores[k] = total
