"""Compressing items: groups of them, and an autoencoder over the groups."""

from diffrec.latent.autoencoder import Encoded, GroupAutoencoder, multinomial_loss
from diffrec.latent.groups import ItemGroups, shared_widths
from diffrec.latent.pull_back import pulled_back

__all__ = ["Encoded", "GroupAutoencoder", "ItemGroups", "multinomial_loss", "pulled_back", "shared_widths"]
