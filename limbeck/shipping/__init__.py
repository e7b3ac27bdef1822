"""A student on its way out: chosen, written in every form, verified; and asked about anybody's pictures."""
