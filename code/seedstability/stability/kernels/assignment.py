"""Optimal assignment on a sparse graph, with dual prices.

The graph is in CSR form: `starts` [n + 1], `columns` and `scores` [m]. Column j costs `prices[j]`.
A row's profit on an edge is the score minus the price, and `profit(i)` is its largest. An
assignment is optimal when every row is assigned along an edge of its largest profit: with
u_i = profit(i), all edges then satisfy score ≤ u_i + price, and assigned ones with equality.
`column_of` [n] and `row_of` hold the assignment, with −1 for unassigned. Prices never fall; that of
an unassigned column stays.

Two steps: an auction, in which rows bid for columns (Bertsekas 1988; with step 0, the "augmenting
row reduction" of Jonker & Volgenant 1987), assigns nearly all rows; shortest augmenting paths
(ibid.), by Dijkstra on profits, assign the rest exactly.
"""

import numpy as np

from seedstability.compiled import kernel

_NO_PROFIT = -1.0e300


@kernel
def bid(starts, columns, scores, prices, column_of, row_of, step, most):
    """Auction: unassigned rows bid for their best column and displace the row that holds it.

    A bid raises the price by the profit over the second best column, plus `step`. There are at
    most `most` bids. Assigned rows then are within `step` of their largest profit, if they were
    before.
    """
    n = len(column_of)
    queue, head, waiting = np.empty(n, np.int32), 0, 0
    for i in range(n):
        if column_of[i] < 0:
            queue[waiting] = i
            waiting += 1
    bids = 0
    while waiting > 0 and bids < most:
        i = queue[head]
        head = head + 1 if head + 1 < n else 0
        waiting -= 1
        best, second, column = _NO_PROFIT, _NO_PROFIT, -1
        for k in range(starts[i], starts[i + 1]):
            profit = scores[k] - prices[columns[k]]
            if profit > second:
                if profit > best:
                    second, best, column = best, profit, columns[k]
                else:
                    second = profit
        if second == _NO_PROFIT:  # a row with one edge outbids any other
            second = best - 1.0
        prices[column] += best - second + step
        bids += 1
        displaced = row_of[column]
        row_of[column], column_of[i] = i, column
        if displaced >= 0:
            column_of[displaced] = -1
            queue[(head + waiting) % n] = displaced
            waiting += 1
    return bids


@kernel
def unassign_suboptimal(starts, columns, scores, prices, column_of, row_of, tolerance):
    """Unassign rows whose column is not their best, up to `tolerance`; return their number."""
    unassigned = 0
    for i in range(len(column_of)):
        best, mine = _NO_PROFIT, _NO_PROFIT
        for k in range(starts[i], starts[i + 1]):
            profit = scores[k] - prices[columns[k]]
            best = max(best, profit)
            if columns[k] == column_of[i]:
                mine = profit
        if column_of[i] >= 0 and mine < best - tolerance:
            row_of[column_of[i]] = -1
            column_of[i] = -1
            unassigned += 1
    return unassigned


@kernel
def augment(starts, columns, scores, prices, column_of, row_of):
    """Assign unassigned rows along shortest augmenting paths; return the number of failures.

    A path leads from the free row to a free column; its length is the profit lost along it.
    """
    n_columns = len(row_of)
    length = np.full(n_columns, np.inf)
    before, done = np.empty(n_columns, np.int32), np.zeros(n_columns, np.bool_)
    touched, settled = np.empty(n_columns, np.int32), np.empty(n_columns, np.int32)
    heap_keys, heap_columns = np.empty(1 << 12), np.empty(1 << 12, np.int32)
    failures = 0
    for free in range(len(column_of)):
        if column_of[free] >= 0:
            continue
        n_touched, n_settled, size = 0, 0, 0
        row, base, goal, shortest = free, 0.0, -1, np.inf
        profit = _NO_PROFIT
        for k in range(starts[free], starts[free + 1]):
            profit = max(profit, scores[k] - prices[columns[k]])
        while True:
            for k in range(starts[row], starts[row + 1]):
                column = columns[k]
                if done[column]:
                    continue
                reached = base + max(0.0, profit - (scores[k] - prices[column]))
                if reached < length[column] and reached < shortest:
                    if length[column] == np.inf:
                        touched[n_touched] = column
                        n_touched += 1
                    length[column], before[column] = reached, row
                    if row_of[column] < 0:
                        shortest, goal = reached, column
                        continue
                    if size == len(heap_keys):
                        heap_keys = np.concatenate((heap_keys, np.empty_like(heap_keys)))
                        heap_columns = np.concatenate((heap_columns, np.empty_like(heap_columns)))
                    size = _push(heap_keys, heap_columns, size, reached, column)
            column = -1
            while size > 0:
                key, candidate = heap_keys[0], heap_columns[0]
                size = _pop(heap_keys, heap_columns, size)
                if not done[candidate] and key <= length[candidate]:
                    column = candidate
                    break
            if column < 0 or length[column] >= shortest:
                break
            done[column] = True
            settled[n_settled] = column
            n_settled += 1
            base, row = length[column], row_of[column]
            for k in range(starts[row], starts[row + 1]):
                if columns[k] == column:
                    profit = scores[k] - prices[column]
                    break
        if goal < 0:
            failures += 1
        else:
            for s in range(n_settled):
                prices[settled[s]] += shortest - length[settled[s]]
            column = goal
            while True:
                row = before[column]
                row_of[column] = row
                column, column_of[row] = column_of[row], column
                if row == free:
                    break
        for t in range(n_touched):
            length[touched[t]], done[touched[t]] = np.inf, False
    return failures


@kernel
def profits(starts, columns, scores, prices, column_of, best, assigned):
    """Write each row's largest profit into `best` and its assigned score into `assigned`."""
    for i in range(len(column_of)):
        best[i], assigned[i] = _NO_PROFIT, np.nan
        for k in range(starts[i], starts[i + 1]):
            best[i] = max(best[i], scores[k] - prices[columns[k]])
            if columns[k] == column_of[i]:
                assigned[i] = scores[k]


@kernel
def share_slack(starts, columns, scores, prices, column_of, best, lowest_price):
    """Lower each assigned column's price by half its slack and raise its row's profit by as much.

    The slack ends where a second row would want the column. The dual total stays the same, and
    fewer edges are tight. No price falls below `lowest_price`.
    """
    room = np.full(len(prices), np.inf)
    for i in range(len(column_of)):
        for k in range(starts[i], starts[i + 1]):
            column = columns[k]
            if column != column_of[i]:
                room[column] = min(room[column], best[i] + prices[column] - scores[k])
    for i in range(len(column_of)):
        column = column_of[i]
        half = min(0.5 * max(0.0, room[column]), prices[column] - lowest_price, 1.0)
        prices[column] -= half
        best[i] += half


@kernel
def raise_row_prices(starts, columns, scores, prices, column_of, row_of, best, room):
    """Raise each row's profit by at most `room` [n] and lower its column's price by as much.

    Row i and its column move together, by c_i ≤ room_i. Every edge (i, j) must stay covered:
    c_owner(j) ≤ c_i + best_i + price_j − score. The largest such c are lengths of shortest paths
    that start at each row with its room. All columns of the graph must be assigned. `room` is
    overwritten with c.
    """
    n = len(room)
    done = np.zeros(n, np.bool_)
    heap_keys, heap_rows, size = np.empty(2 * n), np.empty(2 * n, np.int32), 0
    for i in range(n):
        size = _push(heap_keys, heap_rows, size, room[i], i)
    while size > 0:
        row = heap_rows[0]
        size = _pop(heap_keys, heap_rows, size)
        if done[row]:
            continue
        done[row] = True
        for k in range(starts[row], starts[row + 1]):
            other = row_of[columns[k]]
            most = room[row] + max(0.0, best[row] + prices[columns[k]] - scores[k])
            if most < room[other]:
                room[other] = most
                if size == len(heap_keys):
                    heap_keys = np.concatenate((heap_keys, np.empty_like(heap_keys)))
                    heap_rows = np.concatenate((heap_rows, np.empty_like(heap_rows)))
                size = _push(heap_keys, heap_rows, size, most, other)
    for i in range(n):
        best[i] += room[i]
        prices[column_of[i]] -= room[i]


@kernel
def _push(keys, values, size, key, value):
    child = size
    while child > 0:
        parent = (child - 1) >> 1
        if keys[parent] <= key:
            break
        keys[child], values[child] = keys[parent], values[parent]
        child = parent
    keys[child], values[child] = key, value
    return size + 1


@kernel
def _pop(keys, values, size):
    size -= 1
    key, value, parent = keys[size], values[size], 0
    while True:
        child = 2 * parent + 1
        if child >= size:
            break
        if child + 1 < size and keys[child + 1] < keys[child]:
            child += 1
        if keys[child] >= key:
            break
        keys[parent], values[parent] = keys[child], values[child]
        parent = child
    keys[parent], values[parent] = key, value
    return size
