"""`dedup`: which rows repeat others, told by one of six methods; one file a method.

`stage.py` has the settings, `seen.py` decides row by row, `against.py` reads sets to compare with.
A method is an `Index` (`index.py`): `exact.py`, `minhash.py`, `simhash.py`, `substring.py`,
`semantic.py`, `rouge.py`.
"""
