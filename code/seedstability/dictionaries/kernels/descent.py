"""Fused backward pass and Adam step from sparse entries, one latent's row at a time.

Only the active entries (sample s, latent j) of a batch carry gradients. With the batch's
`upstream` G = ∂loss/∂x̂, an entry's value z and its slope ζ = ∂loss/∂(pre-activation):

    ∂D_j = Σ z G_s      ∂E_j = Σ ζ (x_s − subtracted)      ∂e_j = Σ ζ      over j's entries.

Entries are sorted by latent. One row of E and of D at a time gets its gradient, Adam's step (Kingma
& Ba, 1412.6980) and its normalization while it is in the cache; gradients are never stored. A
latent that did not fire gets Adam's step of zero gradient.

`encoder_entries` and `decoder_entries` determine the gradients of E and D, each in the form that
`sort_by_latent` returns.
"""

import numpy as np

from seedstability.compiled import kernel

BETA1, BETA2, EPSILON = np.float32(0.9), np.float32(0.999), np.float32(1e-8)
_ONE = np.float32(1)


@kernel
def reconstruct(
    x, offsets, latents, values, decoder, bias, weight, upstream, slopes, samples, firings
):
    """Reconstruct a batch [b, d] from m entries; those of sample s begin at `offsets[s]`.

    Writes to `upstream` [b, d] the error x̂ − x times the sample's `weight` [b], to `slopes` [m] its
    product with each entry's decoder row, and to `samples` [m] the entries' samples. Adds nonzero
    entries to `firings` [n]. Returns each sample's squared error [b].
    """
    b, d = x.shape
    squares = np.empty(b, np.float32)
    for s in range(b):
        row = upstream[s]
        for i in range(d):
            row[i] = bias[i] - x[s, i]
        mine = slice(offsets[s], offsets[s + 1])
        _add_rows(row, decoder, latents[mine], values[mine])
        squares[s] = _dot(row, row)
        _multiply(row, weight[s])
        _dots(row, decoder, latents[mine], slopes[mine])
        samples[mine] = s
        for m in range(offsets[s], offsets[s + 1]):
            firings[latents[m]] += values[m] != 0
    return squares


@kernel
def _add_rows(total, rows, which, weights):
    """Add Σ weight · row to `total`, four rows at a time to read `total` less often."""
    d, m = len(total), len(which)
    fours = m - m % 4
    for at in range(0, fours, 4):
        one, two, three, four = (
            rows[which[at]],
            rows[which[at + 1]],
            rows[which[at + 2]],
            rows[which[at + 3]],
        )
        a, b, c, e = weights[at], weights[at + 1], weights[at + 2], weights[at + 3]
        for i in range(d):
            total[i] += a * one[i] + b * two[i] + c * three[i] + e * four[i]
    for at in range(fours, m):
        one, a = rows[which[at]], weights[at]
        for i in range(d):
            total[i] += a * one[i]


@kernel
def _dots(row, rows, which, products):
    """Dot products of `row` with the rows at `which`, four at a time."""
    d, m = len(row), len(which)
    fours = m - m % 4
    for at in range(0, fours, 4):
        one, two, three, four = (
            rows[which[at]],
            rows[which[at + 1]],
            rows[which[at + 2]],
            rows[which[at + 3]],
        )
        a, b, c, e = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
        for i in range(d):
            a += row[i] * one[i]
            b += row[i] * two[i]
            c += row[i] * three[i]
            e += row[i] * four[i]
        products[at], products[at + 1], products[at + 2], products[at + 3] = a, b, c, e
    for at in range(fours, m):
        products[at] = _dot(row, rows[which[at]])


@kernel
def _dot(one, other):
    total = np.float32(0)
    for i in range(len(one)):
        total += one[i] * other[i]
    return total


@kernel
def sort_by_latent(latents, samples, weights, n):
    """Sort entries by latent, by a stable counting sort.

    Returns `bounds` [n + 1], samples and weights [m]; latent j has `bounds[j]` to `bounds[j + 1]`.
    """
    bounds, places = _places(latents, n)
    sorted_samples, sorted_weights = np.empty_like(samples), np.empty_like(weights)
    for m in range(len(places)):
        sorted_samples[places[m]], sorted_weights[places[m]] = samples[m], weights[m]
    return bounds, sorted_samples, sorted_weights


@kernel
def sort_both_by_latent(latents, samples, weights, others, n):
    """Sort two weights of the same entries by latent."""
    bounds, places = _places(latents, n)
    sorted_samples = np.empty_like(samples)
    sorted_weights, sorted_others = np.empty_like(weights), np.empty_like(others)
    for m in range(len(places)):
        sorted_samples[places[m]] = samples[m]
        sorted_weights[places[m]], sorted_others[places[m]] = weights[m], others[m]
    return (bounds, sorted_samples, sorted_weights), (bounds, sorted_samples, sorted_others)


@kernel
def _places(latents, n):
    """Bounds of each latent's entries [n + 1], and each entry's sorted position [m]."""
    bounds = np.zeros(n + 1, np.int64)
    for latent in latents:
        bounds[latent + 1] += 1
    for j in range(n):
        bounds[j + 1] += bounds[j]
    at = bounds[:n].copy()
    places = np.empty(len(latents), np.int32)
    for m in range(len(latents)):
        places[m] = at[latents[m]]
        at[latents[m]] += 1
    return bounds, places


@kernel
def row_gradients(j, batch, dense, encoder_row, decoder_row):
    """Write ∂E_j and ∂D_j into the two rows, return ∂e_j; `dense` are further gradients."""
    centered, upstream, encoder_entries, decoder_entries = batch
    dense_encoder, dense_bias, dense_decoder = dense
    for i in range(len(encoder_row)):
        encoder_row[i] = dense_encoder[j, i] if len(dense_encoder) else np.float32(0)
        decoder_row[i] = dense_decoder[j, i] if len(dense_decoder) else np.float32(0)
    bounds, samples, slopes = encoder_entries
    mine = slice(bounds[j], bounds[j + 1])
    _add_rows(encoder_row, centered, samples[mine], slopes[mine])
    bias = dense_bias[j] if len(dense_bias) else np.float32(0)
    for slope in slopes[mine]:
        bias += slope
    bounds, samples, values = decoder_entries
    mine = slice(bounds[j], bounds[j + 1])
    _add_rows(decoder_row, upstream, samples[mine], values[mine])
    return bias


@kernel
def adam_row(row, mean, square, gradient, rate, unbias):
    """One step of Adam on one row; `rate` and `unbias` include the bias corrections."""
    for i in range(len(row)):
        g = gradient[i]
        m = BETA1 * mean[i] + (_ONE - BETA1) * g
        v = BETA2 * square[i] + (_ONE - BETA2) * g * g
        mean[i], square[i] = m, v
        row[i] -= rate * m / (np.sqrt(v) * unbias + EPSILON)


@kernel
def descend(weights, means, squares, batch, dense, rates, scale, how):
    """Take Adam's step for every latent, in place.

    `weights` are E, e and D; `means` and `squares` are their moments. Gradients are multiplied by
    `scale` first. `rates` are Adam's rate and the factor of its second moment. `how` says whether
    the decoder is frozen, its parallel gradient removed, and its rows normalized. Returns
    Σ ∂e_j E_j [d], with E before the step.
    """
    encoder, encoder_bias, decoder = weights
    rate, unbias = rates
    frozen, remove_parallel, unit_norm = how
    n, d = encoder.shape
    encoder_row, decoder_row = np.empty(d, np.float32), np.empty(d, np.float32)
    bias_gradients = np.empty(n, np.float32)
    through_bias = np.zeros(d, np.float32)
    for j in range(n):
        bias = row_gradients(j, batch, dense, encoder_row, decoder_row)
        if remove_parallel:
            remove_along(decoder_row, decoder[j])
        if scale != _ONE:
            bias *= scale
            _multiply(encoder_row, scale)
            _multiply(decoder_row, scale)
        for i in range(d):
            through_bias[i] += bias * encoder[j, i]
        adam_row(encoder[j], means[0][j], squares[0][j], encoder_row, rate, unbias)
        bias_gradients[j] = bias
        if not frozen:
            adam_row(decoder[j], means[2][j], squares[2][j], decoder_row, rate, unbias)
            if unit_norm:
                _multiply(decoder[j], _ONE / np.sqrt(_dot(decoder[j], decoder[j])))
    adam_row(encoder_bias, means[1], squares[1], bias_gradients, rate, unbias)
    return through_bias


@kernel
def squared_norm(weights, batch, dense, how):
    """Squared norm of the gradient of E, e and D (unless frozen), and Σ ∂e_j E_j [d]."""
    encoder, _, decoder = weights
    frozen, remove_parallel, _ = how
    n, d = encoder.shape
    encoder_row, decoder_row = np.empty(d, np.float32), np.empty(d, np.float32)
    through_bias = np.zeros(d, np.float32)
    total = 0.0
    for j in range(n):
        bias = row_gradients(j, batch, dense, encoder_row, decoder_row)
        if remove_parallel:
            remove_along(decoder_row, decoder[j])
        square = bias * bias
        for i in range(d):
            square += encoder_row[i] * encoder_row[i]
            if not frozen:
                square += decoder_row[i] * decoder_row[i]
            through_bias[i] += bias * encoder[j, i]
        total += square
    return total, through_bias


@kernel
def gradients(batch, dense, encoder, encoder_bias, decoder):
    """Write ∂E, ∂e and ∂D into the last three arrays."""
    for j in range(len(encoder)):
        encoder_bias[j] = row_gradients(j, batch, dense, encoder[j], decoder[j])


@kernel
def remove_along(gradient, row):
    """Remove from `gradient` the component parallel to the unit vector `row`."""
    along = _dot(gradient, row)
    for i in range(len(row)):
        gradient[i] -= along * row[i]


@kernel
def _multiply(row, factor):
    for i in range(len(row)):
        row[i] *= factor


@kernel
def rectify(pre, firings):
    """Apply ReLU to `pre` [b, n] in place; adds each column's positive entries to `firings` [n] and
    returns their sum."""
    total = 0.0
    for s in range(len(pre)):
        row, part = pre[s], np.float32(0)
        for j in range(len(row)):
            positive = row[j] > 0
            row[j] = row[j] if positive else np.float32(0)
            firings[j] += positive
            part += row[j]
        total += part
    return total


@kernel
def mask_slopes(slopes, latents, l1, bias):
    """Add `l1` to slopes [b, n] of positive latents, set the others to zero, and add the sums over
    samples to `bias` [n]."""
    for s in range(len(slopes)):
        row, latent = slopes[s], latents[s]
        for j in range(len(row)):
            row[j] = row[j] + l1 if latent[j] > 0 else np.float32(0)
            bias[j] += row[j]
