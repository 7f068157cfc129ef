"""Types of terms: a kind and a set of named axes, each with a size that is a polynomial in named dims.

Nothing here knows operators. Precision is not part of a type (algebra.md, section 1).
"""
