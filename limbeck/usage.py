"""What the commands say of themselves: `limbeck --help`, and how the help of each of them begins."""

from __future__ import annotations

USAGE = """\
limbeck shrinks an image classifier: it distils any teacher into a small
student, and measures what it was worth.

usage: limbeck COMMAND [OPTIONS]

  run [RECIPE]          train the teacher, the student alone and the distilled
                        student, and compare them; RECIPE is a name or a
                        path/to/recipe.py (default: digits, offline, a minute)
  sweep [RECIPE]        many variants of a recipe, compared on held-out pictures:
                        limbeck sweep digits --objective kd,dkd
  evaluate RUN|FILE     judge the networks of a run, of a weights file, or any
                        network of yours
  export RUN|FILE       a student as plain PyTorch, exported program and ONNX, in
                        floats and in eight bits, each judged and timed
  predict RUN|FILE PICTURE...
                        what a student says of pictures, folders, or the input
  report RUN            make a run's page anew, RUN/report.html, with its figures
  compare RUN RUN...    finished runs side by side: recipes, accuracy, paired
                        differences, cost; on the screen and as a page
  check FILE.py:LOSS    examine a distillation loss of your own: what is wrong
                        with it, why, and how to mend it
  recipes [RECIPE]      the recipes, what each is for, its time and results
  summary [MODEL...]    the networks; layers, shapes and parameters of those
                        that are named
  data list|fetch|verify [NAME...]
                        the data sets: what is there, get them, check them

Type `limbeck COMMAND --help` for a command's options. `limbeck run` and
`limbeck sweep` again continue what was stopped.
"""

HELP = {
    "run": """\
usage: limbeck run [RECIPE] [OPTIONS]

Trains the teacher, the student alone and the distilled student, and compares
them. The same command again continues a run that was stopped.

RECIPE is a name (`limbeck recipes` lists them; default: digits), the path of a
recipe.py of your own, a recipe.json, or the folder of a run, which is then
continued. Options change the recipe. A recipe runs the code that it names.

Example: limbeck run digits --objective kd --objective.temperature 2
Example: limbeck run cifar10 --teacher net.py:big --student.name timm/resnet10t
""",
    "sweep": """\
usage: limbeck sweep [RECIPE] [OPTIONS]

Trains variants of a recipe and compares them on its held-out pictures; no test
set is looked at. Options with several values, set apart by commas, are varied;
the trials are the product. An option of one objective varies its trials alone.
Trainings that are the same are done once. The same command again continues.

RECIPE and options are as for `limbeck run`. With --search N, Optuna draws N
trials; ranges are typed so: --train.optimizer.lr 1e-4..1e-2

Example: limbeck sweep digits --objective kd,dkd --objective.temperature 2,4
""",
    "evaluate": """\
usage: limbeck evaluate RUN|FILE|NETWORK [OPTIONS]

Judges what is already trained: all the networks of a run's folder, the one of a
weights.safetensors, or someone else's. Accuracy, calibration, agreement with
the teacher; the file of --json has also confusions, reliability and regressions
by picture. --corruptions and --cost measure more.

NETWORK takes float pictures in [0, 1] (B, 3, H, W) and answers with logits:
  path/to/file.py:FUNCTION   what the function returns; it may take num_classes
  FILE.pt2, FILE.pt          an exported program, TorchScript
  torchvision/NAME, timm/NAME, with --weights FILE or --pretrained
Its code is run: name only what you trust. It needs --data. Where a network of
limbeck's files was made by a file of yours, that is run if --code names it.

Example: limbeck evaluate runs/my-run --data cifar10 --json figures.json
Example: limbeck evaluate net.py:make --data cifar10 --teacher big.py:make
""",
    "export": """\
usage: limbeck export RUN|FILE [OPTIONS]

Writes the student of a run, or the network of a weights.safetensors, in forms
that others can use: student.py with student.safetensors (plain PyTorch),
student.pt2 (an exported program), student.onnx with its normalisation inside,
and student-int8.onnx. Each is judged on the test set and timed; one in floats
that does not answer as the original does is refused. With a model card.

Needs ONNX: pip install onnx onnxruntime onnxscript

Example: limbeck export runs/my-run
""",
    "report": """\
usage: limbeck report RUN

Makes the page of a finished run anew: RUN/report.html, one file that needs no
network, and in RUN/report each of its figures as PNG, SVG and CSV. A run makes
its page itself at its end.

Example: limbeck report runs/my-run
""",
    "compare": """\
usage: limbeck compare RUN RUN... [OPTIONS]

Shows finished runs side by side, on the screen and as a page: what differs in
their recipes, accuracy on each test set, differences from the first run with
95 % intervals (paired where the seeds are the same), and cost where it was
measured. Nothing is trained and no network is asked.

Example: limbeck compare runs/one runs/another --out compare.html
""",
    "predict": """\
usage: limbeck predict RUN|FILE PICTURE... [OPTIONS]

Prints how likely the student of a run, of a weights.safetensors or of an
exported .onnx thinks each class of each picture. PICTURE is a file, a folder,
or - for a picture on the standard input. Ends with 2 where a picture is broken.

Example: limbeck predict runs/my-run photo.jpg more/ --format csv
""",
    "check": """\
usage: limbeck check FILE.py:LOSS|MODULE:LOSS...

Examines losses of (student logits, teacher logits[, labels]): where they are
least, how much gradient is left far from there, whether one reaches the
teacher, batch size, temperature, extreme inputs. Ends with 1 where something is
wrong. `limbeck.check_setup` examines networks and loaders, from Python.

Example: limbeck check train.py:distillation_loss
""",
    "recipes": """\
usage: limbeck recipes [RECIPE...]

Prints what recipes are for, their commands, times and measured results; all of
limbeck's where none is named.

RECIPE is a name, the path of a recipe.py of your own, a recipe.json, or the
folder of a run.

Example: limbeck recipes digits
""",
    "summary": """\
usage: limbeck summary [MODEL...] [OPTIONS]

Prints the layers, output shapes and parameters of networks for one picture of
32 x 32; lists the networks where none is named. MODEL is a name of that list,
timm/NAME, torchvision/NAME, or path/to/file.py:FUNCTION, whose code is run.

Example: limbeck summary nin_cifar --width 0.5
""",
    "data": """\
usage: limbeck data [list|fetch|verify] [NAME...]

  list     the data sets, and whether they are here; what is done without a word
  fetch    gets data sets from the first source that works, and verifies them;
           again, it gets what is missing
  verify   reads them again and compares every byte with what was published

NAME is a data set's; list and verify take all where none is named. Data sets
are kept in the folder that LIMBECK_DATA names, by default in your cache.

Of pictures of your own (a folder, a CSV, hf/OWNER/NAME), list counts classes,
sizes and broken files, and verify reads every file and names what is wrong.

Example: limbeck data fetch cifar10 cifar10_1
""",
}
