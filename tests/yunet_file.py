"""A file with YuNet's inputs and outputs that finds what was planted in it."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE, _STRIDES, _HEADS = 640, (8, 16, 32), {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}


class Face(NamedTuple):
    """In pixels of the detector's input: a box and five points, the subject's right eye first."""

    left: float
    top: float
    width: float
    height: float
    points: np.ndarray
    score: float = 1.0


def write_yunet(path: Path, faces: Sequence[Face], most_brightness: float = 300) -> None:
    """Write a detector that finds ``faces`` in every input whose mean is below ``most_brightness``."""
    nodes = [
        helper.make_node("ReduceMean", ["input"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Sub", ["most", "mean"], ["below"]),
        helper.make_node("Sign", ["below"], ["sign"]),
        helper.make_node("Relu", ["sign"], ["gate"]),
    ]
    values = [numpy_helper.from_array(np.float32([most_brightness]), "most")]
    outputs = []
    for kind in _HEADS:
        for stride in _STRIDES:
            head = _head(kind, stride, faces)
            values.append(numpy_helper.from_array(head, f"planted_{kind}_{stride}"))
            nodes.append(helper.make_node("Mul", [f"planted_{kind}_{stride}", "gate"], [f"{kind}_{stride}"]))
            outputs.append(helper.make_tensor_value_info(f"{kind}_{stride}", TensorProto.FLOAT, head.shape))
    image = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, SIDE, SIDE])
    graph = helper.make_graph(nodes, "planted", [image], outputs, values)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)])
    model.ir_version = 7
    onnx.save(model, path)


def _head(kind: str, stride: int, faces: Sequence[Face]) -> np.ndarray:
    """Each face in the cell of stride 8 that its middle lies in."""
    cells = SIDE // stride
    head = np.zeros((1, cells * cells, _HEADS[kind]), np.float32)
    for face in faces if stride == 8 else ():
        x, y = face.left + face.width / 2, face.top + face.height / 2
        cell = np.floor([x / stride, y / stride])
        head[0, int(cell[1]) * cells + int(cell[0])] = {
            "cls": face.score,
            "obj": face.score,
            "bbox": [*(np.array([x, y]) / stride - cell), *np.log([face.width / stride, face.height / stride])],
            "kps": (face.points / stride - cell).ravel(),
        }[kind]
    return head
