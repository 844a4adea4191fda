"""How H.264 is asked of x264, wherever a video is written."""

# Its macroblock tree reads memory that it never set: with it, the same frames are other
# bytes each time.
OPTIONS = {"crf": "18", "x264-params": "mbtree=0"}
