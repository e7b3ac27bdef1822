"""The model card of an exported student, in the format of the Hugging Face hub."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

_CARD = """\
---
library_name: pytorch
pipeline_tag: image-classification
tags:
- knowledge-distillation
- limbeck
{datasets}metrics:
- accuracy
model-index:
- name: {title}
  results:
  - task:
      type: image-classification
    dataset:
      name: {dataset}
      type: {kind}
      split: test
    metrics:
    - type: accuracy
      value: {accuracy:.4f}
---

# {title}

{what}

| form | file | accuracy, % | size, MB | one picture, ms | pictures/s |
|---|---|---|---|---|---|
{rows}

Accuracy on the {count:,} pictures of the {dataset} test set. Times: {device}, batches of 1 and of {batch},
measured in turn in one process.

## How to use it

```python
import onnxruntime

session = onnxruntime.InferenceSession("student.onnx")
logits = session.run(None, {{"images": images}})[0]  # float32 (B, 3, {height}, {width}), RGB in [0, 1]
```

The network normalises the pictures itself. The classes, in the order of the logits: {classes}. The metadata of the
ONNX files has them, too (`labels`).

In PyTorch: {plain}`torch.export.load("student.pt2").module()`.

## How it was made

{made}

## Limits

It answers with one of its {number} classes, whatever it is shown. It was measured on the pictures named above and on no
others.{limits}
"""


def model_card(
    exported: Mapping[str, Any], classes: Sequence[str], what: str, made: str, limits: str, hub: str = ""
) -> str:
    """The text of a README.md.

    Args:
        exported: the content of export.json (keys: `limbeck.shipping.exporting`).
        classes: their names in the order of the logits.
        what: a paragraph that says what it is.
        made: how it was trained, in Markdown.
        limits: what else a user has to know.
        hub: what the hub calls the data set; empty for pictures of one's own.
    """
    first = exported["forms"][0]
    rows = [
        f"| {form['name']} | {form['file'] or ''} | {100 * form['accuracy']:.2f} | {form['bytes'] / 1e6:.2f} "
        f"| {form['latency_ms']:.2f} | {form['images_per_second']:,.0f} |"
        for form in exported["forms"]
    ]
    height, width = exported["picture"]
    named = ", ".join(classes[:20]) + (f", ... ({len(classes)} in all)" if len(classes) > 20 else "")
    return _CARD.format(
        title=json.dumps(exported["title"]).strip('"'),
        dataset=exported["dataset"],
        datasets=f"datasets:\n- {hub}\n" if hub else "",
        kind=hub or "imagefolder",  # what the hub calls pictures in folders, whoever they are of
        accuracy=first["accuracy"],
        what=what,
        rows="\n".join(rows),
        count=exported["n"],
        plain="`student.py` with `student.safetensors`, or "
        if any(form["file"] == "student.safetensors" for form in exported["forms"])
        else "",
        device=exported["device"],
        batch=exported["batch"],
        height=height,
        width=width,
        classes=named,
        number=len(classes),
        made=made,
        limits=f" {limits}" if limits else "",
    )
