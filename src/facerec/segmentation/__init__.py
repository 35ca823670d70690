"""Segmentation of optic disc and cup: how predicted masks are scored and compared."""
