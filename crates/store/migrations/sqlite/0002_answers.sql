-- What a hit's sender was answered is a number, for contracts spell their answers out; and a hit
-- that a command decided again names it.

alter table verdict add column http_status integer;
alter table verdict add column decided_by integer;

update verdict set http_status = case
    when profile = 'acknowledge' or reason is null then 200
    when reason in ('already_processed', 'status_ignored') then 200
    when reason in ('rate_missing', 'internal_error') then 202
    when reason in ('macro_not_replaced', 'invalid_payload', 'missing_parameter') then 400
    when reason in ('signature_mismatch', 'stale_timestamp') then 401
    when reason = 'source_not_allowed' then 403
    when reason in ('unknown_integration', 'unknown_click') then 404
    when reason = 'transition_not_allowed' then 409
    else 422
end;

alter table verdict drop column profile;
