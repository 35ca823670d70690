"""Attention of each position over the window around it, with learned embeddings of the row and column offset.

    logit[p, d] = q_p . (k_(p + d) + [row[d_y], column[d_x]]);  out_p = sum over d of softmax_d(logit)[d] * v_(p + d)

Keys and values are not copied per offset: the map is cut into tiles, and one matrix product multiplies the queries of a
tile by all keys that any of them can see; keys beyond a query's own window get a logit of minus infinity. Multiplying
by keys that do not count is cheaper than gathering k * k small windows. The offset embeddings are added as two terms,
one per row and one per column, since neither depends on the other axis.

B images, M heads, D values per head, (H, W) map, k window side, P = k // 2.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

# Measured on a CPU for windows of 7: larger tiles waste multiplications, smaller ones need more calls.
_TILE = 8


def local_attention(
    query: Tensor, key: Tensor, value: Tensor, rows: Tensor, columns: Tensor, zero_padding: bool = False
) -> Tensor:
    """Attend from each position to the k x k window around it.

    The softmax is computed in at least float32. For the backward pass at most ``(8 + 2 P) ** 2`` values per head and
    position are saved.

    Args:
        query, key, value: ``(B, M, H, W, D)``, D even.
        rows, columns: ``(M, k, D / 2)``, k odd: the embeddings of the offsets -P to P, for the first and the second
            half of the query.
        zero_padding: if true, positions outside the map have key and value 0 and take part in the softmax; otherwise
            they do not count.

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
    """Attend from queries ``(B, M, y, x, D)`` to keys and values ``(B, M, v, u, D)``, with ``bias``
    ``(B, M, y, x, v, u)``; returns ``(B, y, x, M, D)``."""
    products = query.flatten(2, 3) @ key.flatten(2, 3).transpose(-1, -2)
    attention = (products + bias.flatten(4).flatten(2, 3)).softmax(dim=-1).to(value.dtype)
    return (attention @ value.flatten(2, 3)).unflatten(2, query.shape[2:4]).permute(0, 2, 3, 1, 4)


def _tiles(side: int) -> list[range]:
    """Cut an axis into as few tiles as possible, of about the same length."""
    length = -(-side // -(-side // _TILE))
    return [range(start, min(start + length, side)) for start in range(0, side, length)]


def _near(tile: range, side: int, reach: int, edge: int) -> range:
    """Return the positions along one axis that a tile's queries can see, within -edge to side + edge."""
    return range(max(-edge, tile.start - reach), min(side + edge, tile.stop + reach))


def _cut(maps: Tensor, y: range, x: range, edge: int = 0) -> Tensor:
    return maps[:, :, y.start + edge : y.stop + edge, x.start + edge : x.stop + edge]


def _offset_logits(query: Tensor, embeddings: Tensor, queries: range, keys: range) -> Tensor:
    """Multiply each query, ``(B, M, y, x, D / 2)``, by the embeddings of the keys' offsets from it along y.

    Returns ``(B, M, y, x, keys)``, minus infinity beyond the window.
    """
    last = embeddings.shape[1] - 1
    query_positions, key_positions = (torch.arange(r.start, r.stop, device=query.device) for r in (queries, keys))
    offsets = key_positions - query_positions[:, None] + last // 2
    logits = torch.einsum("bmyxd,mykd->bmyxk", query, embeddings[:, offsets.clamp(0, last)].to(query.dtype))
    beyond = ((offsets < 0) | (offsets > last))[:, None]
    return logits.to(torch.promote_types(logits.dtype, torch.float32)).masked_fill(beyond, -torch.inf)
