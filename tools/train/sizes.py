"""What the networks that ship see, width x height."""

SIZE = (60, 80)  # the classifiers of thumbnails
SEGMENTER_SIZE = (96, 128)
