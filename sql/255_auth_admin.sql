-- What the service does to users: inviting them, making links without a mail,
-- and looking after accounts.  The program has checked the service key.

set local role kith_owner;

create function kith.refuse_confirmed(u auth.users) returns void
language plpgsql volatile set search_path = ''
as $$
begin
    if u.confirmed_at is not null or u.is_sso_user then
        perform kith.refuse(422, 'email_exists', 'A user with this email address has already been registered');
    end if;
end
$$;
comment on function kith.refuse_confirmed(auth.users) is 'Refuses what is for new addresses only.';

-- Whoever has not confirmed yet is invited again.
create function kith.invited_user(email text, hash text, body jsonb, invited boolean) returns auth.users
language plpgsql volatile set search_path = ''
as $$
#variable_conflict use_column
declare
    u auth.users := kith.find_user(invited_user.email);
begin
    perform kith.refuse_confirmed(u);
    u := kith.find_or_add_user(invited_user.email, hash, '{}');
    update auth.users x
    set raw_user_meta_data = kith.merge_metadata(x.raw_user_meta_data, coalesce(nullif(body -> 'data', 'null'), '{}')),
        invited_at = case when invited then pg_catalog.now() else x.invited_at end,
        updated_at = pg_catalog.now()
    where x.id = u.id
    returning * into u;
    return u;
end
$$;
comment on function kith.invited_user(text, text, jsonb, boolean) is 'The user of an address that nobody confirmed, made unless there is one.';

create function kith.invite(email text, body jsonb, link json) returns json
language plpgsql volatile set search_path = ''
as $$
declare
    u auth.users := kith.invited_user(email, null, body, true);
begin
    perform kith.send_link(u.id, 'confirmation_token', email, link);
    select * into u from auth.users x where x.id = u.id;
    return kith.user_json(u);
end
$$;
comment on function kith.invite(text, jsonb, json) is 'Makes a user without password and mails them a link.';

-- The links hold no mail: whoever asked delivers them.  links: signup, for a new
-- address, and other, for one that is known.
create function kith.generate_link(
    type text,
    email text,
    new_email text,
    hash text,
    body jsonb,
    links json,
    out verification_type text,
    out user_json json
) returns record
language plpgsql volatile set search_path = ''
as $$
declare
    u auth.users := kith.find_user(email);
    link json := links -> 'other';
begin
    verification_type := type;
    if type = 'magiclink' and u.confirmed_at is null then
        verification_type := 'signup';
    elsif type not in ('signup', 'invite', 'magiclink') and (u.id is null or u.deleted_at is not null) then
        perform kith.refuse(404, 'user_not_found', 'User with this email not found');
    end if;
    if verification_type in ('signup', 'invite') then
        u := kith.invited_user(email, hash, body, verification_type = 'invite');
        perform kith.send_link(u.id, 'confirmation_token', email, links -> 'signup');
    elsif type in ('magiclink', 'recovery') then
        perform kith.send_link(u.id, 'recovery_token', email, link);
    else
        if (kith.find_user(new_email)).id is not null then
            perform kith.refuse(422, 'email_exists', 'A user with this email address has already been registered');
        end if;
        -- The other half of the same change may be confirmed already.
        update auth.users x
        set email_change = new_email,
            email_change_confirm_status = case
                when (links ->> 'both')::boolean is not true or nullif(x.email, '') is null then 1
                else 0
            end,
            updated_at = pg_catalog.now()
        where x.id = u.id and x.email_change is distinct from new_email;
        if type = 'email_change_new' then
            perform kith.send_link(u.id, 'email_change_token_new', new_email, link);
        else
            perform kith.send_link(u.id, 'email_change_token_current', email, link);
        end if;
    end if;
    select kith.user_json(x) into user_json from auth.users x where x.id = u.id;
end
$$;
comment on function kith.generate_link(text, text, text, text, jsonb, json) is
    'Makes a one-time token that the service delivers itself; a magic link for an address that is not known becomes a sign-up.';

create function kith.admin_finds(u auth.users, filter text) returns boolean
language sql immutable set search_path = ''
as $$
    select pg_catalog.strpos(
        pg_catalog.lower(pg_catalog.concat_ws(
            ' ', u.email, u.phone, u.raw_user_meta_data ->> 'full_name', u.raw_user_meta_data ->> 'name'
        )),
        pg_catalog.lower(filter)
    ) > 0
$$;
comment on function kith.admin_finds(auth.users, text) is 'Whether a text is in the address or the name of a user.';

create function kith.admin_list_users(page bigint, per_page bigint, filter text, out total bigint, out users json) returns record
language sql stable set search_path = ''
as $$
    select (
        select pg_catalog.count(*)
        from auth.users x
        where coalesce(filter, '') = '' or kith.admin_finds(x, filter)
    ), coalesce(pg_catalog.json_agg(kith.user_json(p.u) order by (p.u).created_at desc, (p.u).id), '[]')
    from (
        select x as u
        from auth.users x
        where coalesce(filter, '') = '' or kith.admin_finds(x, filter)
        order by x.created_at desc, x.id
        limit per_page
        offset (page - 1) * per_page
    ) p
$$;
comment on function kith.admin_list_users(bigint, bigint, text) is
    'A page of the users, newest first, and how many there are; filter is looked for in addresses and names.';

create function kith.admin_get_user(id uuid) returns json
language plpgsql volatile set search_path = ''
as $$
declare
    u auth.users;
begin
    select * into u from auth.users x where x.id = admin_get_user.id;
    if u.id is null then
        perform kith.refuse(404, 'user_not_found', 'User not found');
    end if;
    return kith.user_json(u);
end
$$;
comment on function kith.admin_get_user(uuid) is 'A user, as the API shows them.';

-- ban: seconds from here, or none; null leaves it.
create function kith.admin_set(user_id uuid, body jsonb, ban text) returns void
language plpgsql volatile set search_path = ''
as $$
begin
    update auth.users x
    set raw_user_meta_data = kith.merge_metadata(x.raw_user_meta_data, coalesce(nullif(body -> 'user_metadata', 'null'), '{}')),
        raw_app_meta_data = kith.merge_metadata(x.raw_app_meta_data, coalesce(nullif(body -> 'app_metadata', 'null'), '{}')),
        role = coalesce(nullif(body ->> 'role', ''), x.role),
        banned_until = case
            when ban is null then x.banned_until
            when ban <> 'none' then pg_catalog.now() + pg_catalog.make_interval(secs => ban::double precision)
        end,
        updated_at = pg_catalog.now()
    where x.id = admin_set.user_id;
end
$$;
comment on function kith.admin_set(uuid, jsonb, text) is 'Sets what only the service may: metadata, role and ban.';

create function kith.admin_create_user(id uuid, email text, hash text, body jsonb, ban text) returns json
language plpgsql volatile set search_path = ''
as $$
#variable_conflict use_variable
declare
    u auth.users := kith.find_user(email);
begin
    if u.id is not null then
        perform kith.refuse(422, 'email_exists', 'A user with this email address has already been registered');
    end if;
    begin
        u := kith.add_user(
            email, hash, coalesce((body ->> 'email_confirm')::boolean, false), '{"provider": "email", "providers": ["email"]}',
            '{}', coalesce(admin_create_user.id, pg_catalog.gen_random_uuid())
        );
    exception when unique_violation then
        if (kith.find_user(email)).id is not null then
            perform kith.refuse(422, 'email_exists', 'A user with this email address has already been registered');
        elsif exists (select from auth.users x where x.id = admin_create_user.id) then
            perform kith.refuse(422, 'user_already_exists', 'A user with this id has already been registered');
        end if;
        raise;  -- of an app's own trigger
    end;
    perform kith.admin_set(u.id, body, ban);
    return kith.admin_get_user(u.id);
end
$$;
comment on function kith.admin_create_user(uuid, text, text, jsonb, text) is 'Makes a user for whom no mail is sent.';

create function kith.admin_update_user(id uuid, email text, hash text, body jsonb, ban text) returns json
language plpgsql volatile set search_path = ''
as $$
#variable_conflict use_variable
declare
    u auth.users;
    confirm boolean := coalesce((body ->> 'email_confirm')::boolean, false);
begin
    select * into u from auth.users x where x.id = admin_update_user.id for no key update;
    if u.id is null then
        perform kith.refuse(404, 'user_not_found', 'User not found');
    end if;
    if hash is not null then
        perform kith.set_password(u.id, hash, null);
    end if;
    if email is not null and email is distinct from u.email then
        perform kith.change_email(u, email, confirm);
    elsif confirm then
        perform kith.confirm_email(u.id);
    end if;
    perform kith.admin_set(u.id, body, ban);
    return kith.admin_get_user(u.id);
end
$$;
comment on function kith.admin_update_user(uuid, text, text, jsonb, text) is 'Changes a user; a new password ends all their sessions.';

create function kith.admin_delete_user(id uuid, soft boolean) returns void
language plpgsql volatile set search_path = ''
as $$
begin
    if soft then
        -- Rows of apps keep somebody to refer to, of whom nothing is known.
        update auth.users x
        set email = null,
            phone = null,
            encrypted_password = '',
            email_change = '',
            phone_change = '',
            raw_user_meta_data = '{}',
            raw_app_meta_data = '{}',
            deleted_at = coalesce(x.deleted_at, pg_catalog.now()),
            updated_at = pg_catalog.now()
        where x.id = admin_delete_user.id;
    else
        delete from auth.users x where x.id = admin_delete_user.id;
    end if;
    if not found then
        perform kith.refuse(404, 'user_not_found', 'User not found');
    end if;
    delete from auth.identities i where i.user_id = admin_delete_user.id;
    delete from auth.sessions s where s.user_id = admin_delete_user.id;
    delete from auth.one_time_tokens t where t.user_id = admin_delete_user.id;
    delete from auth.flow_state f where f.user_id = admin_delete_user.id;
end
$$;
comment on function kith.admin_delete_user(uuid, boolean) is
    'Deletes a user with all that is theirs; softly, the row stays, without anything that tells who it was.';

grant execute on function
    kith.refuse_confirmed(auth.users),
    kith.invited_user(text, text, jsonb, boolean),
    kith.invite(text, jsonb, json),
    kith.generate_link(text, text, text, text, jsonb, json),
    kith.admin_finds(auth.users, text),
    kith.admin_list_users(bigint, bigint, text),
    kith.admin_get_user(uuid),
    kith.admin_set(uuid, jsonb, text),
    kith.admin_create_user(uuid, text, text, jsonb, text),
    kith.admin_update_user(uuid, text, text, jsonb, text),
    kith.admin_delete_user(uuid, boolean)
    to kith_auth;

reset role;
