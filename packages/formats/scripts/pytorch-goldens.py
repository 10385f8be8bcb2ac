"""Writes src/pytorch-goldens.test-support.ts: checkpoints of both layouts by PyTorch, and pickles of every protocol by Python.

Made with torch 1.13.1 and Python 3.11 (Debian 12): python3 scripts/pytorch-goldens.py > src/pytorch-goldens.test-support.ts
"""
import argparse
import base64
import io
import pickle
from collections import OrderedDict

import torch

torch.manual_seed(0)
base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
state = OrderedDict()
state["module.t"] = base.t()
state["module.row"] = base[1:3, 2:5]
state["module.flat"] = base[2]
state["module.f16"] = torch.tensor([1.5, -2, 0.25]).half()
state["module.bf16"] = torch.tensor([1.5, -2, 0.25]).bfloat16()
state["module.f64"] = torch.tensor([[1.5], [-2e300]], dtype=torch.float64)
state["module.i64"] = torch.tensor(2**53 + 1)
state["module.i32"] = torch.tensor([-7, 2**31 - 1], dtype=torch.int32)
state["module.i16"] = torch.tensor([-7], dtype=torch.int16)
state["module.i8"] = torch.tensor([-7], dtype=torch.int8)
state["module.u8"] = torch.tensor([1, 255], dtype=torch.uint8)
state["module.bool"] = torch.tensor([True, False, True])
state["module.param"] = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
state["module.empty"] = torch.zeros(0, 3)
state["module.scalar"] = torch.tensor(2.5)

model = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
model(torch.ones(1, 2)).sum().backward()
optimizer.step()
checkpoint = {
    "epoch": 24,
    "best": 93.97,
    "none": None,
    "list": [1, 2, "x"],
    "args": argparse.Namespace(lr=0.1),
    "optimizer": optimizer.state_dict(),
    "state_dict": state,
}


def saved(value, zipped, **options):
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=zipped, **options)
    return buffer.getvalue()


def script():
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), buffer)
    return buffer.getvalue()


plain = {
    "numbers": [0, -1, 255, 256, 65536, -(2**31), 2**31, 2**53, 2**70, -(2**70), 1.5, -0.0],
    "text": "é\n'\"\\",
    "constants": (None, True, False),
    "nested": [[], {}, (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)],
    "ordered": OrderedDict([("a", 1), ("b", [2])]),
    1: "int key",
}
plain["again"] = plain["nested"]

files = {
    "zip": saved(checkpoint, True),
    "stream": saved(checkpoint, False),
    "streamProtocol4": saved({"a": torch.ones(2)}, False, pickle_protocol=4),
    "zipProtocol5": saved({"a": torch.ones(2)}, True, pickle_protocol=5),
    "module": saved(torch.nn.Linear(2, 1), True),
    "oneTensor": saved(torch.ones(2), True),
    "expanded": saved({"a": torch.ones(1).expand(5)}, True),
    "sparse": saved({"a": torch.eye(2).to_sparse()}, False),
    "complex": saved({"a": torch.ones(2, dtype=torch.complex64)}, False),
    "script": script(),
}

print("/** Written by scripts/pytorch-goldens.py, base64: checkpoints by torch 1.13.1 and pickles by Python 3.11. */\n")
print("/** Checkpoints, as the script describes them. */")
print("export const GOLDEN_FILES = {")
for name, data in files.items():
    print(f'  {name}:\n    "{base64.b64encode(data).decode()}",')
print("} as const;\n")
print("/** One nested value as pickles of protocol 0 to 5. */")
print("export const GOLDEN_PICKLES: readonly string[] = [")
for protocol in range(6):
    print(f'  "{base64.b64encode(pickle.dumps(plain, protocol)).decode()}",')
print("];")
