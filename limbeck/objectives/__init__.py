"""What a network is trained to do: pure losses, one file a method, and the objectives that weigh them."""

from limbeck.objectives.ab import ab_loss
from limbeck.objectives.attention import attention_loss
from limbeck.objectives.cc import cc_loss
from limbeck.objectives.crd import crd_loss
from limbeck.objectives.ctkd import ctkd_loss
from limbeck.objectives.dist import dist_loss
from limbeck.objectives.dkd import dkd_loss
from limbeck.objectives.dml import dml_loss
from limbeck.objectives.factor import factor_loss
from limbeck.objectives.fitnet import fitnet_loss
from limbeck.objectives.fsp import fsp_loss
from limbeck.objectives.kd import KD, CrossEntropy
from limbeck.objectives.logit_mse import logit_mse_loss
from limbeck.objectives.logits import cross_entropy, kd_loss, tf_kd_loss
from limbeck.objectives.mlld import mlld_loss
from limbeck.objectives.nkd import nkd_loss
from limbeck.objectives.nst import nst_loss
from limbeck.objectives.objective import AnyObjective, Batch, Objective, Outputs, rehearse, total
from limbeck.objectives.ofa import ofa_loss
from limbeck.objectives.ofd import ofd_loss
from limbeck.objectives.pkt import pkt_loss
from limbeck.objectives.review import hcl_loss
from limbeck.objectives.rkd import rkd_angle_loss, rkd_distance_loss
from limbeck.objectives.semckd import semckd_loss
from limbeck.objectives.simkd import simkd_loss
from limbeck.objectives.sp import sp_loss
from limbeck.objectives.srrl import srrl_loss
from limbeck.objectives.standardised import standardise, standardised
from limbeck.objectives.tf_kd import TfKD
from limbeck.objectives.ttm import ttm_loss, wttm_loss
from limbeck.objectives.vid import vid_loss
from limbeck.objectives.wsld import wsld_loss

__all__ = [
    "KD",
    "AnyObjective",
    "Batch",
    "CrossEntropy",
    "Objective",
    "Outputs",
    "TfKD",
    "ab_loss",
    "attention_loss",
    "cc_loss",
    "crd_loss",
    "cross_entropy",
    "ctkd_loss",
    "dist_loss",
    "dkd_loss",
    "dml_loss",
    "factor_loss",
    "fitnet_loss",
    "fsp_loss",
    "hcl_loss",
    "kd_loss",
    "logit_mse_loss",
    "mlld_loss",
    "nkd_loss",
    "nst_loss",
    "ofa_loss",
    "ofd_loss",
    "pkt_loss",
    "rehearse",
    "rkd_angle_loss",
    "rkd_distance_loss",
    "semckd_loss",
    "simkd_loss",
    "sp_loss",
    "srrl_loss",
    "standardise",
    "standardised",
    "tf_kd_loss",
    "total",
    "ttm_loss",
    "vid_loss",
    "wsld_loss",
    "wttm_loss",
]
