"""One thread for linear algebra, as in the real command: two busy ones make small problems many times slower."""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy is imported anywhere
