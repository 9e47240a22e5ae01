"""What training minimises: masked losses, and the objective that names, weighs and adds them."""

from flora.losses.objective import Loss, Objective, ObjectiveConfig, Weights

__all__ = ["Loss", "Objective", "ObjectiveConfig", "Weights"]
