"""The errors of an emitted file on this machine: against exact values, beside plain autograd's, drawn."""
