"""Nearest partners between two dictionaries from the matrix of cosines."""

import numpy as np

from seedstability.compiled import kernel


@kernel
def best_of_columns(cosines):
    """Argmax of each column of a matrix [n, m], as int32[m]; the first among ties."""
    rows = np.zeros(cosines.shape[1], np.int32)
    highest = cosines[0].copy()
    for i in range(1, len(cosines)):
        row, here = cosines[i], np.int32(i)
        for j in range(len(row)):
            better = row[j] > highest[j]
            highest[j] = row[j] if better else highest[j]
            rows[j] = here if better else rows[j]
    return rows
