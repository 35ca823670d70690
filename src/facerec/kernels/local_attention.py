"""Attention of each position over the window around it, with learned embeddings of the row and column offset.

    logit[p, d] = q_p . (k_(p + d) + [row[d_y], column[d_x]]);  out_p = sum over d of softmax_d(logit)[d] * v_(p + d)

without copies of keys and values for each offset: the map is cut into tiles, and the queries of a tile meet, in one
matrix product, all keys that any of them can see; what is beyond a query's own window gets a logit of minus infinity.
Products with keys that do not count are cheaper than moving k * k small ones about. The offset embeddings are added as
two terms, one a row and one a column, since neither depends on the other axis.

B images, M heads, D numbers a head, (H, W) map, k window side, P = k // 2.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

# Measured on a CPU for windows of 7: larger tiles waste products, smaller ones calls.
_TILE = 8


def local_attention(
    query: Tensor, key: Tensor, value: Tensor, rows: Tensor, columns: Tensor, zero_padding: bool = False
) -> Tensor:
    """Softmax in float32 or better; for the backward at most ``(8 + 2 P) ** 2`` numbers a head and position are kept.

    Args:
        query, key, value: ``(B, M, H, W, D)``, D even.
        rows, columns: ``(M, k, D / 2)``, k odd: the embedding of an offset of -P to P, for the first and the second
            half of the query.
        zero_padding: positions outside the map have key and value 0 and take their share of the softmax; else they do
            not count.

    Returns:
        ``(B, H, W, M, D)``, contiguous.
    """
    reach = rows.shape[1] // 2
    edge = reach if zero_padding else 0
    key, value = (F.pad(x, (0, 0, edge, edge, edge, edge)) for x in (key, value))
    height, width = query.shape[2:4]

    def tile(y: range, x: range) -> Tensor:
        near_y, near_x = _near(y, height, reach, edge), _near(x, width, reach, edge)
        by_row, by_column = _cut(query, y, x).chunk(2, dim=-1)
        row_logits = _offset_logits(by_row, rows, y, near_y)
        column_logits = _offset_logits(by_column.transpose(2, 3), columns, x, near_x).transpose(2, 3)
        bias = row_logits[..., :, None] + column_logits[..., None, :]
        return _attend(_cut(query, y, x), _cut(key, near_y, near_x, edge), _cut(value, near_y, near_x, edge), bias)

    out = [torch.cat([tile(y, x) for x in _tiles(width)], dim=2) for y in _tiles(height)]
    return torch.cat(out, dim=1).contiguous()


def _attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    """``(B, M, y, x, D)``, twice ``(B, M, v, u, D)`` and ``(B, M, y, x, v, u)`` to ``(B, y, x, M, D)``."""
    products = query.flatten(2, 3) @ key.flatten(2, 3).transpose(-1, -2)
    attention = (products + bias.flatten(4).flatten(2, 3)).softmax(dim=-1).to(value.dtype)
    return (attention @ value.flatten(2, 3)).unflatten(2, query.shape[2:4]).permute(0, 2, 3, 1, 4)


def _tiles(side: int) -> list[range]:
    """As few tiles as can be, of about the same length."""
    length = -(-side // -(-side // _TILE))
    return [range(start, min(start + length, side)) for start in range(0, side, length)]


def _near(tile: range, side: int, reach: int, edge: int) -> range:
    """The positions along one axis that a tile's queries can see, from -edge to side + edge."""
    return range(max(-edge, tile.start - reach), min(side + edge, tile.stop + reach))


def _cut(maps: Tensor, y: range, x: range, edge: int = 0) -> Tensor:
    return maps[:, :, y.start + edge : y.stop + edge, x.start + edge : x.stop + edge]


def _offset_logits(query: Tensor, embeddings: Tensor, queries: range, keys: range) -> Tensor:
    """``(B, M, y, x, D / 2)`` to ``(B, M, y, x, keys)``: each query times the embeddings of the offsets at which the
    keys stand along y, minus infinity beyond the window."""
    last = embeddings.shape[1] - 1
    places = (torch.arange(r.start, r.stop, device=query.device) for r in (queries, keys))
    query_place, key_place = places
    offsets = key_place - query_place[:, None] + last // 2
    logits = torch.einsum("bmyxd,mykd->bmyxk", query, embeddings[:, offsets.clamp(0, last)].to(query.dtype))
    beyond = ((offsets < 0) | (offsets > last))[:, None]
    return logits.to(torch.promote_types(logits.dtype, torch.float32)).masked_fill(beyond, -torch.inf)
