"""Finite-difference schemes as data: exact weights, closures at sides, quadrature."""
