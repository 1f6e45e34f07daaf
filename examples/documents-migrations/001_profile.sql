-- Both are ordinary tables: key, doc (jsonb, with an index for containment) and version; key, value and expiry.
select holdfast.create_documents('profile');
select holdfast.create_key_values('draft');
