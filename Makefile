.include "BSDmakefile"
