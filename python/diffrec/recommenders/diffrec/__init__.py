"""DiffRec in its four forms: a network, and perhaps an anchor, behind the interface of all recommenders."""
