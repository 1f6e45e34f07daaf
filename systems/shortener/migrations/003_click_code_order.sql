-- The same order of bytes as link.code has: with two collations no index serves a comparison of the two.
alter table click_day alter code type text collate "C";
alter table click_referrer alter code type text collate "C";
