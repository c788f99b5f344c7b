#!/bin/sh
# Logistic regression in awk that prints its validation loss after each epoch. From the root of this repository:
#
# python -m automl.run --command "sh examples/shell_script.sh {lr} {decay} {momentum} {epochs} {seed}" --space examples/shell_script.yaml --epochs 20 --strategy bo+asha --trials 30

# The data are part of scikit-learn: a header with counts and names, then rows of 30 numbers and the class, 0 or 1.
folder=$(python -c "from importlib.util import find_spec; print(find_spec('sklearn').submodule_search_locations[0])")

awk -F, -v lr="$1" -v decay="$2" -v momentum="$3" -v epochs="$4" -v seed="$5" '
NR > 1 {
    rows++
    y[rows] = $NF
    for (i = 1; i < NF; i++) { x[rows, i] = $i; sum[i] += $i; squares[i] += $i * $i }
}

function probability(row,   i, score) {
    score = w[0]
    for (i = 1; i < NF; i++) score += w[i] * x[row, i]
    score = score > 30 ? 30 : score < -30 ? -30 : score
    return 1 / (1 + exp(-score))
}

function move(i, slope) {
    v[i] = momentum * v[i] - lr * slope
    w[i] += v[i]
}

END {
    srand(seed)
    for (i = 1; i < NF; i++) {
        mean = sum[i] / rows
        deviation = sqrt(squares[i] / rows - mean * mean)
        for (row = 1; row <= rows; row++) x[row, i] = (x[row, i] - mean) / deviation
    }
    for (epoch = 1; epoch <= epochs; epoch++) {
        for (n = 1; n <= rows; n++) {
            row = int(rand() * rows) + 1
            if (row % 4 == 0) continue  # every fourth row is in the validation set
            error = probability(row) - y[row]
            move(0, error)
            for (i = 1; i < NF; i++) move(i, error * x[row, i] + decay * w[i])
        }
        loss = right = held_out = 0
        for (row = 4; row <= rows; row += 4) {
            p = probability(row)
            loss -= log(y[row] ? p : 1 - p)
            right += (p > 0.5) == y[row]
            held_out++
        }
        printf "{\"loss\": %.6f, \"accuracy\": %.4f}\n", loss / held_out, right / held_out
        fflush()
    }
}' "$folder/datasets/data/breast_cancer.csv"
