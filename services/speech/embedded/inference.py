"""ONNX sessions that share a few cores with other models."""

from typing import TypeAlias

import onnxruntime

InferenceSession: TypeAlias = onnxruntime.InferenceSession
RunOptions: TypeAlias = onnxruntime.RunOptions


def open_session(model: bytes, *, threads: int) -> InferenceSession:
    """Load a model whose idle threads sleep: spinning threads would starve the other models."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
