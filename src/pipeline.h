/*
 * The networks that judge a card, and how they are joined. The file that says so is documented in bgdet.h
 * (bgd_pipeline_open).
 */
#ifndef BGD_PIPELINE_H
#define BGD_PIPELINE_H

#include "hash.h"
#include "model.h"

/* What the segmenter sees. */
enum pipeline_sight {
    PIPELINE_PHOTO,     /* the decoded photo, shrunk to the segmenter's own size */
    PIPELINE_THUMBNAIL, /* the card as shrunk for the classifier, enlarged again: the founders' order */
};

#define PIPELINE_SOFT (-1.0f)

struct bgd_pipeline {
    struct bgd_model *segmenter; /* NULL: the whole card is judged */
    struct bgd_model *classifier;
    enum pipeline_sight sight;
    float threshold;      /* 0..1: P(object) from which a pixel is object and nothing else; PIPELINE_SOFT: as it is */
    char hash[HASH_TEXT]; /* of the models and the settings: what a row names as its model */
    char *name;           /* for people: "resnet18" or "tracer-te0 + resnet18" */
};

/* Checks that the parts fit each other, and fills hash and name. The models become the pipeline's. */
int pipeline_join(struct bgd_pipeline *pipeline, struct bgd_err *err);

#endif
