"""Writes schedules.h: learning rates of PyTorch's schedulers.
Run: python3 schedules.py > schedules.h   (needs torch)"""
import torch
from torch.optim import lr_scheduler

CASES = [  # name in C++, PyTorch's scheduler, updates, initial rate
    ("step_3_tenth", lambda o: lr_scheduler.StepLR(o, step_size=3), 10, 0.5),
    ("step_4_half", lambda o: lr_scheduler.StepLR(o, step_size=4, gamma=0.5), 13, 0.2),
    ("cosine_10", lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=10), 11, 0.1),
    ("cosine_7_floor", lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=7, eta_min=0.01), 8, 0.3),
    ("one_cycle_20", lambda o: lr_scheduler.OneCycleLR(
        o, max_lr=0.1, total_steps=20, cycle_momentum=False), 20, 0.1),
    ("one_cycle_17", lambda o: lr_scheduler.OneCycleLR(
        o, max_lr=0.4, total_steps=17, pct_start=0.45, div_factor=10, final_div_factor=100,
        cycle_momentum=False), 17, 0.1),
    ("one_cycle_no_warm_up", lambda o: lr_scheduler.OneCycleLR(
        o, max_lr=0.4, total_steps=6, pct_start=0.0, cycle_momentum=False), 6, 0.1),
]


def main():
    print(f"// Made by schedules.py with PyTorch {torch.__version__.split('+')[0]}.")
    print("// clang-format off\n#pragma once\n\nnamespace reference {\n")
    for name, make, updates, lr in CASES:
        p = torch.zeros(1, requires_grad=True)
        optimizer = torch.optim.SGD([p], lr=lr)
        schedule = make(optimizer)
        rates = []
        for step in range(updates):
            rates.append(float(optimizer.param_groups[0]["lr"]))
            optimizer.step()
            if step + 1 < updates:
                schedule.step()
        values = ",\n    ".join(f"{r:.17g}" for r in rates)
        print(f"inline constexpr double {name}[{updates}] = {{\n    {values}}};")
    print("\n}  // namespace reference")


main()
