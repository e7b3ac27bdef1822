"""Finished runs side by side: what differs in their recipes, and in what came of them. Nothing is trained.

The keys of a comparison, where runs are called "A", "B", ... in the order in which they were given::

    schema        1
    reference     the run that the others are compared with
    runs          {run: {path, recipe: {name, digest}, data, seeds, networks: {role: {model, parameters, seconds}},
                  cost, environment}}; seconds of training, the mean over seeds, null where that is not known; cost as
                  in results.json, null where it was not measured; environment {hardware, torch, limbeck} of the last
                  start
    fields        {field of the recipes: {run: value}} where they differ; runs that have no such field are left out
    environment   the same of the environments
    accuracy      {test set: {role or "gain": {run: as in results.json}}}
    pictures      {test set: their number}
    differences   [{run, dataset, role, mean, ci95, n, n_reference, method, sample_ci95, told_apart}]: the run minus the
                  reference, fractions; what each is: `limbeck.evaluation.differences`
    missing       [{run, what, why}]
    notes         what a reader has to know

The role "gain" is distilled minus alone in each run, and its differences are how much more the teacher was worth.
"""

from limbeck.comparison.comparing import Comparison, compare

__all__ = ["Comparison", "compare"]
