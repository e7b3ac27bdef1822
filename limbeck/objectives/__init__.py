"""What a network is trained to do: pure losses, one file a method, and the objectives that weigh them."""

from limbeck.objectives.ab import AB, ab_loss
from limbeck.objectives.attention import AttentionTransfer, attention_loss
from limbeck.objectives.cc import CC, cc_loss
from limbeck.objectives.crd import CRD, crd_loss
from limbeck.objectives.ctkd import CTKD, ctkd_loss
from limbeck.objectives.dist import DIST, dist_loss
from limbeck.objectives.dkd import DKD, dkd_loss
from limbeck.objectives.dml import DML, dml_loss
from limbeck.objectives.factor import FactorTransfer, factor_loss
from limbeck.objectives.features import Featured, Staged
from limbeck.objectives.fitnet import FitNet, fitnet_loss
from limbeck.objectives.fsp import FSP, fsp_loss
from limbeck.objectives.kd import KD, CrossEntropy
from limbeck.objectives.logit_mse import LogitMSE, logit_mse_loss
from limbeck.objectives.logits import cross_entropy, kd_loss, tf_kd_loss
from limbeck.objectives.mlld import MLLD, mlld_loss
from limbeck.objectives.nkd import NKD, nkd_loss
from limbeck.objectives.nst import NST, nst_loss
from limbeck.objectives.objective import AnyObjective, Known, Objective, Sum, Taught, rehearse, total
from limbeck.objectives.ofa import OFA, ofa_loss
from limbeck.objectives.ofd import OFD, ofd_loss
from limbeck.objectives.outputs import Batch, Mixed, Outputs
from limbeck.objectives.pkt import PKT, pkt_loss
from limbeck.objectives.promises import promises
from limbeck.objectives.review import ReviewKD, hcl_loss
from limbeck.objectives.rkd import RKD, rkd_angle_loss, rkd_distance_loss
from limbeck.objectives.semckd import SemCKD, semckd_loss
from limbeck.objectives.simkd import SimKD, simkd_loss
from limbeck.objectives.sp import SP, sp_loss
from limbeck.objectives.srrl import SRRL, srrl_loss
from limbeck.objectives.standardised import Standardised, standardise, standardised
from limbeck.objectives.taps import Probe, Tapped, probe, tapped
from limbeck.objectives.tf_kd import TfKD
from limbeck.objectives.ttm import TTM, WTTM, ttm_loss, wttm_loss
from limbeck.objectives.vid import VID, vid_loss
from limbeck.objectives.wsld import WSLD, wsld_loss

__all__ = [
    "AB",
    "CC",
    "CRD",
    "CTKD",
    "DIST",
    "DKD",
    "DML",
    "FSP",
    "KD",
    "MLLD",
    "NKD",
    "NST",
    "OFA",
    "OFD",
    "PKT",
    "RKD",
    "SP",
    "SRRL",
    "TTM",
    "VID",
    "WSLD",
    "WTTM",
    "AnyObjective",
    "AttentionTransfer",
    "Batch",
    "CrossEntropy",
    "FactorTransfer",
    "Featured",
    "FitNet",
    "Known",
    "LogitMSE",
    "Mixed",
    "Objective",
    "Outputs",
    "Probe",
    "ReviewKD",
    "SemCKD",
    "SimKD",
    "Staged",
    "Standardised",
    "Sum",
    "Tapped",
    "Taught",
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
    "probe",
    "promises",
    "rehearse",
    "rkd_angle_loss",
    "rkd_distance_loss",
    "semckd_loss",
    "simkd_loss",
    "sp_loss",
    "srrl_loss",
    "standardise",
    "standardised",
    "tapped",
    "tf_kd_loss",
    "total",
    "ttm_loss",
    "vid_loss",
    "wsld_loss",
    "wttm_loss",
]
