"""Spatial operators, one file per paper; `facerec.operators.base.SpatialOperator` is their contract."""
