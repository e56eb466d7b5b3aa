// /v1/templates: prepare or import, get, list, delete.
#pragma once

#include <memory>

#include "controlplane/api/api.h"
#include "controlplane/api/service.h"
#include "controlplane/template/template_check.h"
#include "controlplane/template/template_maker.h"

namespace shoal::rest {

// A program that gets ready takes a CPU, and its memory twice.
inline constexpr long max_templates_in_making = 2;

struct TemplateService {
    Service& service;
    const templates::TemplateFolder& folder;
    templates::TemplateMaker& maker;
    templates::TemplateCheck& check;
    // Held by each template that is being made, from before its files until the store has it.
    std::shared_ptr<int> making = std::make_shared<int>();
};

// Adds the routes. Borrows the service.
void add_templates(Api& api, TemplateService& service);

// Deletes files of templates that the store does not have.
void collect_templates(const TemplateService& service);

}  // namespace shoal::rest
