"""The recommenders that DiffRec is held against, a file each."""
