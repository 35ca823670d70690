"""What people mean by words that other programs use for options and keys."""

import re

_TIMM = "backbone=timm backbone.name={} operator=none"
# Per group, what to write for a word; "" for what there is not, however its name is spelled.
_OPTIONS = {
    "head": {
        **dict.fromkeys(("cosface", "amsoftmax", "am-softmax", "lmcl"), "head=am_softmax"),
        **dict.fromkeys(("softmax", "normface", "norm_softmax"), "head=am_softmax head.margin=0"),
        "arc_face": "head=arcface",
        **dict.fromkeys(("subcenter", "subcentre", "subcenter_arcface", "sub_center"), "head=subcentre_arcface"),
        **dict.fromkeys(("combined", "cm", "margin_softmax"), "head=combined_margin"),
        "sphereface": "head=combined_margin head.m1=1.35 head.m2=0 head.m3=0",
        **dict.fromkeys(("uniface", "partial_fc", "triplet"), ""),
    },
    "backbone": {
        **dict.fromkeys(("mobilenet", "mobilenetv2", "mobilenet_v2", "mnv2"), "backbone=mbv2"),
        **dict.fromkeys(("shufflenet", "shufflenetv2", "shufflenet_v2"), "backbone=sfv2"),
        **dict.fromkeys(("mixer", "mlpmixer"), "backbone=mlp_mixer"),
    },
    "operator": {
        **dict.fromkeys(("dw", "dwconv", "conv", "dw_conv"), "operator=depthwise"),
        **dict.fromkeys(("se", "senet"), "operator=squeeze_excitation"),
        **dict.fromkeys(("dcn", "deformable", "deform_conv"), "operator=deformable_conv"),
        **dict.fromkeys(("dynamic_conv", "dyconv"), "operator=dyconv_dw"),
        "null": "operator=none",
    },
    "optimizer": {
        "rmsprop": "optimizer._target_=torch.optim.RMSprop",
    },
    "lr_scheduler": {
        **dict.fromkeys(("step", "steplr", "multi_step"), "lr_scheduler=multistep"),
        **dict.fromkeys(("cos", "cosineannealing", "cosine_annealing"), "lr_scheduler=cosine"),
        **dict.fromkeys(("polynomial", "polynomiallr"), "lr_scheduler=poly"),
    },
    "sweep": {
        "paper": "sweep=figure4",
        "shufflenet": "sweep=figure4_shufflenet",
        "operators": "sweep=figure7",
        "mixer": "sweep=figure7_mixer",
        "affinity": "sweep=table2",
        "generator": "sweep=table3",
        "stages": "sweep=table4",
        "affine": "sweep=table5",
    },
    "distillation": {
        **dict.fromkeys(("null", "false", "off"), "distillation=none"),
        **dict.fromkeys(("cosine", "feature", "features", "kd"), "distillation=embedding teacher=FILE"),
        **dict.fromkeys(("ada", "ada_distill"), "distillation=adadistill teacher=FILE"),
    },
    "data": {
        **dict.fromkeys(("mxnet", "ms1m", "ms1mv2", "glint360k", "rec", "recordio"), "data=insightface"),
        **dict.fromkeys(("imagefolder", "image_folder", "images"), "data=folder"),
    },
    "trainer": {"cuda": "trainer=gpu", "multi_gpu": "trainer=ddp"},
    "logger": {
        **dict.fromkeys(("null", "false", "off"), "logger=none"),
        **dict.fromkeys(("weights_and_biases", "weights-and-biases"), "logger=wandb"),
    },
    "augmentation": {
        "null": "none",
        **dict.fromkeys(("cutout", "random_erasing"), "erasing"),
        **dict.fromkeys(("color", "colour", "color_jitter"), "jitter"),
        **dict.fromkeys(("flip", "horizontal_flip"), "data.horizontal_flip=true"),
    },
}
KEYS = {
    **dict.fromkeys(("lr", "learning_rate", "base_lr"), "optimizer.lr"),
    **dict.fromkeys(("weight_decay", "wd"), "optimizer.weight_decay"),
    "momentum": "optimizer.momentum",
    **dict.fromkeys(("optim", "opt"), "optimizer"),
    **dict.fromkeys(("batch", "batch_size", "bs"), "data.global_batch_size"),
    **dict.fromkeys(("epochs", "epoch", "num_epochs", "max_epochs"), "trainer.max_epochs"),
    **dict.fromkeys(("loss", "criterion"), "head"),
    "margin": "head.margin",
    **dict.fromkeys(("model", "network", "net", "arch", "architecture"), "backbone"),
    "dataset": "data",
    **dict.fromkeys(("root", "data_root", "data_dir", "path"), "data.root"),
    **dict.fromkeys(("workers", "num_workers"), "data.num_workers"),
    "benchmarks": "data.benchmarks",
    **dict.fromkeys(("gpus", "devices", "num_gpus"), "trainer.devices"),
    **dict.fromkeys(("device", "accelerator"), "trainer.accelerator"),
    **dict.fromkeys(("precision", "amp", "fp16"), "trainer.precision"),
    **dict.fromkeys(("scheduler", "schedule"), "lr_scheduler"),
    "milestones": "lr_scheduler.milestones",
    **dict.fromkeys(("warmup", "warmup_epochs", "warm_up"), "lr_scheduler.warmup_epochs"),
    **dict.fromkeys(("save_every", "save_interval", "checkpoint_every", "every_n_train_steps"), "trainer.save_every"),
    **dict.fromkeys(("ema", "ema_decay", "weight_averaging"), "trainer.ema"),
    **dict.fromkeys(("gradient_clip", "grad_clip", "clip_grad", "max_grad_norm"), "trainer.gradient_clip_val"),
    **dict.fromkeys(("gradient_checkpointing", "activation_checkpointing", "checkpointing"), "trainer.recompute"),
    **dict.fromkeys(("torch_compile", "jit", "inductor"), "compile"),
    "no_decay": "parameter_groups",
    **dict.fromkeys(("freeze", "frozen"), "parameter_groups.freeze"),
    **dict.fromkeys(("pretrained", "finetune", "fine_tune", "weights", "init_from"), "init"),
    **dict.fromkeys(("distill", "kd", "knowledge_distillation", "student"), "distillation"),
    **dict.fromkeys(("teacher_model", "teacher_path", "teacher_checkpoint"), "teacher"),
    **dict.fromkeys(("checkpoint", "ckpt", "ckpt_path"), "resume"),
    **dict.fromkeys(("out", "output", "output_dir", "run", "exp", "run_name"), "name"),
    **dict.fromkeys(("size", "input_size", "img_size", "resolution"), "image_size"),
    **dict.fromkeys(("dim", "embedding_size", "feature_dim", "emb_dim"), "embedding_dim"),
    **dict.fromkeys(("aug", "augment", "transforms"), "augmentation@data.train_augmentation"),
}


def of_option(group: str, word: str) -> dict[str, str]:
    """Return what to write for ``word`` as an option of ``group``, as `facerec.errors.suggestion` takes it."""
    is_resnet = group == "backbone" and re.fullmatch(r"(se)?resnet\d+\w*", word.lower()) is not None
    return {word.lower(): _TIMM.format(word.lower())} if is_resnet else _OPTIONS.get(group, {})


def of_key(node: str) -> dict[str, str]:
    """Return what to write for keys inside ``node``, or for those at the root if it is empty."""
    inside = f"{node}." if node else ""
    return {word: f"{key}=" for word, key in KEYS.items() if key.startswith(inside) and key != inside + word}
