/*
 * record_cut: some of the log records of an ExportLogsServiceRequest as a request of their own,
 * with their resources and scopes. For who has a frame that is too large for what it goes into.
 *
 * Records are counted in the order of the wire, through all resources and scopes. What is left
 * without a record goes; all other fields, unknown ones too, are copied as they are.
 *
 * The input is untrusted: lengths, wire types and ends of the levels that hold records are checked;
 * the inside of a record is not looked at. No recursion, one pass.
 */
#ifndef SHARED_OTLP_RECORD_CUT_H
#define SHARED_OTLP_RECORD_CUT_H

#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/base/slice.h"

/*
 * Appends the records [first, end) of `request` to *out; none of them there: nothing. What it
 * appends is never longer than the request. *ret_records: how many records the request has.
 * Returns 0, -EBADMSG with a reason, or -ENOMEM. On error *out is as before.
 */
int record_cut(struct slice request, uint64_t first, uint64_t end, struct buf *out,
               uint64_t *ret_records, struct err *err);

#endif
