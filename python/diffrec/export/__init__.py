from diffrec.export.histories import Inputs, inputs
from diffrec.export.served import program
