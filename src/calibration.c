#include "calibration.h"

#include <float.h>
#include <math.h>

double calibration_logit(float p)
{
    double inside = fmin(fmax((double)p, FLT_MIN), 1 - FLT_EPSILON / 2);
    return log(inside / (1 - inside));
}

float calibration_apply(struct calibration calibration, float p)
{
    if (calibration.slope == 1 && calibration.offset == 0)
        return p;
    return (float)(1 / (1 + exp(-((double)calibration.slope * calibration_logit(p) + (double)calibration.offset))));
}
