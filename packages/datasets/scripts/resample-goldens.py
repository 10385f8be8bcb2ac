"""Writes src/images/resample-goldens.test-support.ts: one image in other sizes, as PIL makes them.

Made with PIL 9.4 (Debian 12): python3 scripts/resample-goldens.py > src/images/resample-goldens.test-support.ts
"""
import base64

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 9, 13
place = np.arange(HEIGHT * WIDTH * 3).reshape(HEIGHT, WIDTH, 3)
image = Image.fromarray((place * place * 7 % 256).astype(np.uint8))
filters = {"nearest": 0, "box": 4, "bilinear": 2, "hamming": 5, "bicubic": 3, "lanczos": 1}

print(f"/** Written by scripts/resample-goldens.py: byte i of [{HEIGHT}, {WIDTH}, 3] is 7 i^2 mod 256; in other sizes by PIL 9.4, bytes in base64. */")
print("export const GOLDEN_SIZES = [")
for name, number in filters.items():
    for height, width in [(4, 5), (21, 17), (9, 6), (30, 13)]:
        data = base64.b64encode(np.asarray(image.resize((width, height), number)).tobytes()).decode()
        print(f'  {{ how: "{name}", height: {height}, width: {width}, data: "{data}" }},')
print("] as const;")
