#!/bin/bash
# Check attrib and measure every method in bfloat16 on a GPU, on random weights of official sizes: bash tools/gpu.sh
# Takes the first Python with a torch that sees a GPU: this checkout's own, else the machine's.
set -euo pipefail
cd "$(dirname "$0")/.."
for python in .venv/bin/python python3 python; do
    if command -v "$python" > /dev/null && "$python" -c "import torch; assert torch.cuda.is_available()" 2> /dev/null; then
        missing=$("$python" - <<'CHECK'
from importlib.util import find_spec
names = ("transformers", "timm", "captum", "av", "cv2", "scipy", "sklearn", "pydantic", "rich", "typer", "psutil", "filelock")
print(" ".join(name for name in names if find_spec(name) is None))
CHECK
        )
        test -z "$missing" || { echo "gpu.sh: $python lacks the packages $missing" >&2; exit 2; }
        "$python" -c "from setuptools import setup; setup()" -q egg_info 2> /dev/null || true
        exec timeout 470 "$python" -m tools.gpu "$@"
    fi
done
echo "gpu.sh: no Python here has a torch that sees a GPU" >&2
exit 2
