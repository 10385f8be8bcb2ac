"""Writes src/image-goldens.test-support.ts: small PNG and JPEG files by PIL, with the pixels that PIL reads from them.

Made with PIL 9.4 and libjpeg-turbo 2.1 (Debian 12): python3 scripts/image-goldens.py > src/image-goldens.test-support.ts
"""
import base64
import io
import warnings

import numpy as np
from PIL import Image

warnings.simplefilter("ignore")
HEIGHT, WIDTH = 9, 13
grey = (np.add.outer(np.arange(HEIGHT) * 25, np.arange(WIDTH) * 7) % 256).astype(np.uint8)
colour = np.stack([grey, grey[::-1], 255 - grey], -1)
rgb = Image.fromarray(colour)
l = Image.fromarray(grey)

cases = {
    "greyPng": (l, "PNG", {}),
    "colourPng": (rgb, "PNG", {}),
    "alphaPng": (Image.fromarray(np.dstack([colour, grey])), "PNG", {}),
    "greyAlphaPng": (Image.fromarray(np.dstack([grey, 255 - grey]), "LA"), "PNG", {}),
    "palettePng": (rgb.quantize(200), "PNG", {}),
    "palette4Png": (rgb.quantize(11), "PNG", {"bits": 4}),
    "bitPng": (l.convert("1"), "PNG", {}),
    "colourJpeg": (rgb, "JPEG", {}),
    "greyJpeg": (l, "JPEG", {}),
    "progressiveJpeg": (rgb, "JPEG", {"progressive": True}),
    "fullJpeg": (rgb, "JPEG", {"subsampling": 0, "quality": 95}),
    "cmykJpeg": (rgb.convert("CMYK"), "JPEG", {}),
}
print("/** Written by scripts/image-goldens.py: files of 13 x 9 pixels by PIL 9.4 and the RGB bytes it reads from them, base64. */")
print("export const GOLDEN_IMAGES = {")
for name, (image, kind, options) in cases.items():
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    pixels = np.asarray(Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")).tobytes()
    file, rgb_bytes = (base64.b64encode(data).decode() for data in (buffer.getvalue(), pixels))
    print(f'  {name}: {{\n    file: "{file}",\n    rgb: "{rgb_bytes}",\n  }},')
print("} as const;")
