"""Drawing saliency: overlay videos, contact sheets and pages of layers."""
