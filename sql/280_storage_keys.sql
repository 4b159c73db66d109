-- Paths of files, as a client may write them: of the letters that a file in
-- storage can have in its name, so that no percent sign, backslash or line feed
-- becomes another path for whoever puts it into a URL.

set local role kith_owner;

alter table public.profiles add constraint profiles_avatar_storage_path_key check (
    avatar_storage_path ~ '^[A-Za-z0-9_/!.*''() &$=@;:+,?-]+$' and avatar_storage_path !~ '^\.\.?/'
);
comment on constraint profiles_avatar_storage_path_key on public.profiles is
    'avatar_storage_path is the name of a file in storage: letters a to z, digits, blanks and _/!.*''()&$=@;:+,?-';
alter table public.users add constraint users_avatar_path_key check (
    avatar_path ~ '^[A-Za-z0-9_/!.*''() &$=@;:+,?-]+$' and avatar_path !~ '//|/$'
);
comment on constraint users_avatar_path_key on public.users is
    'avatar_path is the name of a file in storage: letters a to z, digits, blanks and _/!.*''()&$=@;:+,?-';
alter table public.voice_messages add constraint voice_messages_audio_storage_path_key check (
    audio_storage_path ~ '^[A-Za-z0-9_/!.*''() &$=@;:+,?-]+$' and audio_storage_path !~ '^\.\.?/'
);
comment on constraint voice_messages_audio_storage_path_key on public.voice_messages is
    'audio_storage_path is the name of a file in storage: letters a to z, digits, blanks and _/!.*''()&$=@;:+,?-';

reset role;
