"""The best assignment on a sparse graph, with prices that prove it.

The graph is in rows: `starts` [n + 1], `columns` and `scores` [m]. Column j costs `prices[j]`; a
row's profit on an edge is the score less the price, and `profit(i)` its largest. An assignment is
optimal when every row sits on an edge of its largest profit: with u_i = profit(i), all edges then
satisfy score ≤ u_i + price, and assigned ones with equality. `column_of` [n] and `row_of` hold the
assignment, −1 where there is none. Prices only ever rise; that of a column never assigned stays.

Two steps: rows bid for columns (Bertsekas 1988; with step 0, the "augmenting row reduction" of
Jonker & Volgenant 1987), by which nearly all are placed at once; shortest augmenting paths (ibid.),
by Dijkstra on profits, place the rest exactly.
"""

import numpy as np

from seedstability.compiled import kernel

_NOTHING = -1.0e300


@kernel
def bid(starts, columns, scores, prices, column_of, row_of, step, most):
    """Rows without a column bid for their best one, raising its price by what it is better than
    their second best, plus `step`, and turn out who had it. Ends after `most` bids at the latest.

    Placed rows are then within `step` of their largest profit, if they were before.
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
        best, second, column = _NOTHING, _NOTHING, -1
        for k in range(starts[i], starts[i + 1]):
            profit = scores[k] - prices[columns[k]]
            if profit > second:
                if profit > best:
                    second, best, column = best, profit, columns[k]
                else:
                    second = profit
        if second == _NOTHING:  # a row with one edge outbids whoever it likes
            second = best - 1.0
        prices[column] += best - second + step
        bids += 1
        turned_out = row_of[column]
        row_of[column], column_of[i] = i, column
        if turned_out >= 0:
            column_of[turned_out] = -1
            queue[(head + waiting) % n] = turned_out
            waiting += 1
    return bids


@kernel
def unassign_suboptimal(starts, columns, scores, prices, column_of, row_of, tolerance):
    """Take from each row a column that is not its best one, up to `tolerance`; returns how many."""
    given_up = 0
    for i in range(len(column_of)):
        best, mine = _NOTHING, _NOTHING
        for k in range(starts[i], starts[i + 1]):
            profit = scores[k] - prices[columns[k]]
            best = max(best, profit)
            if columns[k] == column_of[i]:
                mine = profit
        if column_of[i] >= 0 and mine < best - tolerance:
            row_of[column_of[i]] = -1
            column_of[i] = -1
            given_up += 1
    return given_up


@kernel
def augment(starts, columns, scores, prices, column_of, row_of):
    """Assign the rows that have no column, each along a shortest path; returns how many could not.

    A path leads from the free row to a free column; its length is the profit given up on it.
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
        profit = _NOTHING
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
    """Each row's largest profit into `best`, the score of its own edge into `assigned`."""
    for i in range(len(column_of)):
        best[i], assigned[i] = _NOTHING, np.nan
        for k in range(starts[i], starts[i + 1]):
            best[i] = max(best[i], scores[k] - prices[columns[k]])
            if columns[k] == column_of[i]:
                assigned[i] = scores[k]


@kernel
def share_slack(starts, columns, scores, prices, column_of, best, lowest_price):
    """Move each assigned column's price half of the way down to where a second row would want it,
    and its row's profit up by as much. The sum stays, and no longer hangs on few edges.

    No price goes below `lowest_price`.
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
    """Raise each row's profit by as much as there is `room` [n] for and its column's price pays.

    Row i and its column move together, by c_i ≤ room_i. On every edge i, j the profit of i less the
    rise of j's row must still cover the score: c_owner(j) ≤ c_i + best_i + price_j − score. The
    largest such c are lengths of shortest paths, each row starting at its room. All columns that
    edges lead to must be assigned. `room` is overwritten with c.
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
